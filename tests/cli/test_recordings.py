"""The commands against a real store, as the scheduler would have filled it."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agora_sidecar.cli.recordings import app
from agora_sidecar.keys import Keys
from agora_sidecar.store import connect
from scheduler.recordings.ledger import Change
from scheduler.recordings.observe import observe
from scheduler.recordings.redis_ledger import RedisLedger
from scheduler.recordings.session import Reading, Session
from tests.scheduler.recordings.evidence_samples import NOW, SID, answer, event, session

pytestmark = pytest.mark.integration


def run(url: str, *args: str) -> Result:
    return CliRunner().invoke(app, list(args), env={"SIDECAR_REDIS__URL": url})


def load(url: str) -> Session | None:
    async def work() -> Session | None:
        client = connect(url)
        found = await RedisLedger(client, Keys(), keep=1000).load(SID)
        await client.aclose()
        return found

    return asyncio.run(work())


@pytest.fixture
def url(redis_url: str) -> str:
    """A store that knows one recording."""

    async def fill() -> None:
        client = connect(redis_url)
        await client.flushall()
        known = observe(session(), event(Reading.STARTED, text="40 recorder_started"))
        known = observe(known, answer(Reading.RUNNING, NOW + 1))
        await RedisLedger(client, Keys(), keep=1000).save(Change(known), due=None, now=NOW)
        await client.aclose()

    asyncio.run(fill())
    return redis_url


def as_json(result: Result) -> Any:
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_list_shows_each_recording_on_a_line(url: str) -> None:
    result = run(url, "list")

    assert result.exit_code == 0
    assert result.stdout.split() == ["2023-11-14T22:13:20.000+00:00", SID, "recording", "room"]
    assert [one["sid"] for one in as_json(run(url, "list", "--json"))] == [SID]


def test_show_tells_what_is_known_and_who_told_it(url: str) -> None:
    result = run(url, "show", SID)

    assert "state: recording" in result.stdout
    assert "event     started: 40 recorder_started" in result.stdout
    assert "(api.example)" in result.stdout
    assert as_json(run(url, "show", SID, "--json"))["cname"] == "room"


def test_stop_owes_a_stop(url: str) -> None:
    result = run(url, "stop", SID)

    assert result.exit_code == 0
    assert "a stop is owed" in result.stdout
    known = load(url)
    assert known is not None
    assert known.stop_wanted == "requested"


def test_forget_drops_it(url: str) -> None:
    assert as_json(run(url, "forget", SID, "--json")) == {"sid": SID, "forgotten": True}
    assert load(url) is None


@pytest.mark.parametrize("command", ["show", "stop", "forget"])
def test_an_unknown_recording_fails_with_one_line(url: str, command: str) -> None:
    result = run(url, command, "nobody")

    assert result.exit_code == 1
    assert result.stderr == "nobody: no such recording is known\n"


@pytest.mark.parametrize("args", [("list",), ("show", SID), ("stop", SID), ("forget", SID)])
def test_a_store_that_is_away_fails_with_one_line(args: tuple[str, ...]) -> None:
    result = run("unix:///nonexistent/socket", *args)

    assert result.exit_code == 1
    assert result.stderr.startswith("unreachable: ")
    assert result.stderr.count("\n") == 1


def test_wrong_settings_end_with_2(url: str) -> None:
    assert run("ftp://x", "list").exit_code == 2
