"""The commands against a real store, as the scheduler would have filled it."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agora_sidecar.cli.recordings import app
from agora_sidecar.keys import Keys
from agora_sidecar.store import connect
from scheduler.recordings import findings
from scheduler.recordings.gaps import counted
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


def change(url: str, what: Callable[[Session], Session]) -> None:
    """What the scheduler learns meanwhile."""

    async def work() -> None:
        client = connect(url)
        ledger = RedisLedger(client, Keys(), keep=1000)
        known = await ledger.load(SID)
        assert known is not None
        await ledger.save(Change(what(known)), due=None, now=NOW)
        await client.aclose()

    asyncio.run(work())


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
    assert result.stdout.split()[:4] == ["2023-11-14T22:13:20.000+00:00", SID, "recording", "room"]
    assert [one["sid"] for one in as_json(run(url, "list", "--json"))] == [SID]


def test_show_tells_what_is_known_and_who_told_it(url: str) -> None:
    result = run(url, "show", SID)

    assert "state: recording" in result.stdout
    assert "event     40 recorder_started  [started]" in result.stdout
    assert "query     " in result.stdout
    assert "api.example" in result.stdout
    assert "next      tell unaskable: resourceExpiredHour is over" in result.stdout
    assert as_json(run(url, "show", SID, "--json"))["cname"] == "room"


@pytest.mark.parametrize(
    ("args", "listed"),
    [
        (("--state", "recording"), True),
        (("--state", "starting", "--state", "recording"), True),
        (("--state", "closed"), False),
        (("--channel", "room"), True),
        (("--channel", "roo"), False),
        (("--silent-for", "1h"), True),
        (("--silent-for", "3650d"), False),
        (("--older-than", "1h"), True),
        (("--older-than", "3650d"), False),
        (("--state", "recording", "--channel", "other"), False),
    ],
)
def test_list_filters(url: str, args: tuple[str, ...], *, listed: bool) -> None:
    found = as_json(run(url, "list", "--json", *args))

    assert [one["sid"] for one in found] == ([SID] if listed else [])


def test_a_filter_that_makes_no_sense_ends_with_2(url: str) -> None:
    assert run(url, "list", "--silent-for", "soon").exit_code == 2
    assert run(url, "list", "--state", "asleep").exit_code == 2
    assert run(url, "list", "--limit", "9" * 24).exit_code == 2


def test_show_has_events_answers_decisions_and_gaps_on_one_axis(url: str) -> None:
    change(url, lambda known: replace(known, started_at=time.time()))
    change(url, lambda known: counted(known, uid="7", service=1, number=3, at=NOW, patience=10)[0])
    change(url, lambda known: counted(known, uid="7", service=1, number=6, at=NOW, patience=10)[0])
    run(url, "stop", SID)

    shown = run(url, "show", SID)

    assert "gap       4 to 5 missing (uid 7, serviceType 1)" in shown.stdout
    assert "decision  its owner wants it stopped" in shown.stdout
    assert "gaps: 2 of serviceType 1, still missing 4, 5" in shown.stdout
    assert "next      stop (requested)" in shown.stdout


def test_show_says_what_the_policy_withholds(url: str) -> None:
    run(url, "stop", SID)

    env = {"SIDECAR_REDIS__URL": url, "SIDECAR_RECORDINGS__STOP_POLICY": "off"}
    shown = CliRunner().invoke(app, ["show", SID], env=env)

    assert "would stop (requested): stop_policy is off" in shown.stdout


def test_watch_prints_what_happened_until_it_is_over(url: str) -> None:
    change(url, lambda known: observe(known, event(Reading.UPLOADED, NOW + 9, text="31 uploaded")))
    change(url, lambda known: findings.closed(known).session)

    result = run(url, "watch", SID)
    as_lines = run(url, "watch", SID, "--json").stdout.splitlines()

    assert [line.split()[1] for line in result.stdout.splitlines()] == ["event", "query", "event"]
    assert [json.loads(line)["kind"] for line in as_lines] == ["event", "query", "event"]


def test_watch_ends_after_its_time(url: str) -> None:
    assert run(url, "watch", SID, "--for", "100ms").exit_code == 0


def test_reconcile_hints_and_says_when_nobody_asked(url: str) -> None:
    change(url, lambda known: replace(known, started_at=time.time()))

    result = run(url, "reconcile", SID, "--for", "600ms")

    assert result.exit_code == 1
    assert "not asked yet: does a scheduler run?" in result.stdout
    known = load(url)
    assert known is not None
    assert (known.hint, known.timeline[-1].what) == ("operator", "an operator wants it asked about")


def test_reconcile_without_a_sid_hints_all_that_can_be_asked(url: str) -> None:
    assert as_json(run(url, "reconcile", "--json", "--for", "0s")) == []  # its resource has expired

    change(url, lambda known: replace(known, started_at=time.time()))
    [one] = as_json(run(url, "reconcile", "--json", "--for", "1ms"))
    assert (one["sid"], one["asked"]) == (SID, False)


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


@pytest.mark.parametrize("command", ["show", "watch", "reconcile", "stop", "forget"])
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
