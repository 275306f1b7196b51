"""The command against real servers; what it put is read back from the streams."""

import asyncio
import json
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from agora_sidecar.agora.notifications import read_notification
from agora_sidecar.cli.replay import replay
from agora_sidecar.consumer.copies import EventCopier
from agora_sidecar.entry import notification_fields, quarantine_fields
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, connect
from tests.conftest import start_store
from tests.integration.test_receiver_process import each_server

pytestmark = pytest.mark.integration
KEYS = Keys()
SID = "38f8e3cfdc474cd56fc1ceba380d7e1a"
RECEIVED_MS = 1_700_000_001_000
PROGRAM = "import typer; from agora_sidecar.cli.replay import replay; typer.run(replay)"

Fields = dict[bytes, bytes]

app = typer.Typer()
app.command()(replay)


@pytest.fixture(scope="module", params=each_server())
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        process, url = start_store(request.param, Path(folder))
        yield url
        process.terminate()
        process.wait(10)


def do(url: str, work: Callable[[Redis], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        client = connect(url)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def execute(url: str, *command: Any) -> Any:
    async def work(client: Redis) -> Any:
        run: Any = client.execute_command
        return await run(*command)

    return do(url, work)


def entries(url: str, key: str = KEYS.events) -> list[tuple[str, Fields]]:
    async def work(client: Redis) -> list[tuple[str, Fields]]:
        return [(stream_id.decode(), fields) for stream_id, fields in await client.xrange(key)]

    return list(do(url, work))


def notice(notice_id: str = "n-1", sid: str = SID, **changes: Any) -> bytes:
    payload = {"cname": "room", "uid": "7", "sid": sid, "sequence": 3, "sendts": 1_700_000_000_123}
    envelope = {"noticeId": notice_id, "productId": 3, "eventType": 31, "payload": payload}
    return json.dumps(envelope | changes).encode()


def add_event(url: str, stream_id: str, sid: str = SID, key: str = KEYS.events) -> Fields:
    body = notice(f"n-{stream_id}", sid)
    flat: list[Any] = list(
        notification_fields(read_notification(body), source="default", received_ms=RECEIVED_MS)
    )
    flat += ["data", body, "foreign", b"\xff\x00"]
    execute(url, "XADD", key, stream_id, *flat)
    [(_, fields)] = [found for found in entries(url, key) if found[0] == stream_id]
    return fields


def set_aside(url: str, stream_id: str, body: bytes, source: str = "default") -> None:
    given: Any = quarantine_fields(source=source, reason="schema: x", received_ms=RECEIVED_MS)
    execute(url, "XADD", KEYS.quarantine, stream_id, *given, "data", body)


@pytest.fixture
def url(server: str) -> str:
    execute(server, "FLUSHALL")
    return server


@pytest.fixture
def filled(url: str) -> str:
    """Events of two recordings at ids 1-0 to 4-0, every other one of SID."""
    for number in range(1, 5):
        add_event(url, f"{number}-0", SID if number % 2 else "other")
    return url


def run(url: str, *args: str, **environment: str) -> Result:
    env = {"SIDECAR_REDIS__URL": url} | environment
    return CliRunner().invoke(app, list(args), env=env)


def replayed(url: str, key: str = KEYS.events) -> list[str]:
    """Of which entries there are copies, in order."""
    return [f[b"replayof"].decode() for _, f in entries(url, key) if b"replayof" in f]


def test_a_copy_is_the_same_but_for_its_marks(url: str) -> None:
    original = add_event(url, "1-0")

    result = run(url, "--id", "1-0", "--yes")

    assert result.exit_code == 0
    assert result.stdout == "1 put again\n"
    [_, (_, copy)] = entries(url)
    assert copy == original | {b"origin": b"replay", b"replayof": b"1-0"}
    assert [name for name in copy if name != b"replayof"] == list(original)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("--recording", SID), ["1-0", "3-0"]),
        (("--recording", SID, "--since", "2"), ["3-0"]),
        (("--id", "4-0", "--id", "2-0", "--id", "4-0"), ["4-0", "2-0"]),
        (("--since", "2-0", "--until", "3-0"), ["2-0", "3-0"]),
        (("--since", "2", "--until", "3"), ["2-0", "3-0"]),
        (("--since", "0"), ["1-0", "2-0", "3-0", "4-0"]),
        (("--since", "0", "--limit", "2"), ["1-0", "2-0"]),
        (("--id", "1-0", "--id", "2-0", "--limit", "1"), ["1-0"]),
        (("--since", "0", "--until", "1970-01-01T00:00:00.002Z"), ["1-0", "2-0"]),
    ],
)
def test_what_was_chosen_is_put_in_order(
    filled: str, args: tuple[str, ...], expected: list[str]
) -> None:
    assert run(filled, *args, "--yes").exit_code == 0
    assert replayed(filled) == expected


def test_copies_are_not_copied_again_unless_named(filled: str) -> None:
    run(filled, "--recording", SID, "--yes")
    run(filled, "--recording", SID, "--yes")
    assert replayed(filled) == ["1-0", "3-0"] * 2

    copy = entries(filled)[-1][0]
    assert run(filled, "--id", copy, "--yes").exit_code == 0
    assert replayed(filled)[-1] == copy


def test_another_stream_may_be_the_target(filled: str) -> None:
    assert run(filled, "--recording", SID, "--to", "again", "--yes").exit_code == 0

    assert replayed(filled) == []
    assert replayed(filled, "again") == ["1-0", "3-0"]


def test_more_than_a_batch_goes_and_its_own_copies_are_not_met(url: str) -> None:
    async def fill(client: Redis) -> None:
        pipe = client.pipeline(transaction=False)
        for number in range(1, 1251):
            pipe.xadd(KEYS.events, {"subject": SID, "n": str(number)}, id=f"{number}-0")
        await pipe.execute()

    do(url, fill)
    result = run(url, "--since", "0", "--yes", "--json")

    assert result.exit_code == 0
    assert result.stderr == "1250 put again\n"
    assert len(result.stdout.splitlines()) == 1250
    assert replayed(url) == [f"{number}-0" for number in range(1, 1251)]


def test_a_dry_run_shows_and_changes_nothing(filled: str) -> None:
    result = run(filled, "--recording", SID, "--dry-run")

    assert result.exit_code == 0
    first, second, summary = result.stdout.splitlines()
    assert first.startswith("1-0  2023-11-14T22:13:20.123Z  cloud_recording.uploaded")
    assert second.startswith("3-0  ")
    assert summary == "2 would be put again"
    assert len(entries(filled)) == 4
    [row] = run(filled, "--id", "2-0", "--dry-run", "--json").stdout.splitlines()
    assert json.loads(row) == {
        "original": "2-0",
        "outcome": "would put",
        "stream": KEYS.events,
        "id": "n-2-0",
        "type": "io.agora.cloud_recording.uploaded",
    }


def test_without_a_terminal_and_without_yes_it_refuses(filled: str) -> None:
    result = run(filled, "--recording", SID)

    assert result.exit_code == 2
    assert result.stderr.startswith("refused: there is no terminal to ask on")
    assert replayed(filled) == []


@pytest.mark.parametrize(
    ("answer", "code", "expected"), [(b"y\n", 0, ["1-0", "3-0"]), (b"\n", 1, []), (b"\x03", 1, [])]
)
def test_on_a_terminal_it_asks(filled: str, answer: bytes, code: int, expected: list[str]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--recording", SID],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"SIDECAR_REDIS__URL": filled, "TERM": "dumb"},
        preexec_fn=lambda: _controlling(theirs),  # noqa: PLW1509 - there is no other thread
    )
    os.close(theirs)
    try:
        said = b""
        while b"[y/N]" not in said:
            said += os.read(ours, 1000)
        assert b"Put 2 entries again on {ncs}:events?" in said
        os.write(ours, answer)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None and answer == b"\x03":
            os.write(ours, answer)  # CPython may miss a signal just before it waits for input
        assert process.wait(20) == code
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)
    assert replayed(filled) == expected


def _controlling(terminal: int) -> None:
    """Make it the terminal whose Ctrl-C is a signal."""
    os.setsid()
    os.close(os.open(os.ttyname(terminal), os.O_RDWR))


def test_an_id_that_is_not_there_puts_nothing(filled: str) -> None:
    result = run(filled, "--id", "1-0", "--id", "9-9", "--yes")

    assert result.exit_code == 1
    assert result.stderr == "nothing was put: no such entry: 9-9\n"
    assert replayed(filled) == []


@pytest.mark.parametrize("args", [("--recording", "nobody"), ("--since", "1ms")])
def test_nothing_to_replay_is_exit_code_1(filled: str, args: tuple[str, ...]) -> None:
    result = run(filled, *args, "--yes")

    assert result.exit_code == 1
    assert result.stderr == "nothing to replay: no such entry\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "say what to replay: "),
        (("--until", "10m"), "say what to replay: "),
        (("--id", "1-0", "--recording", SID), "--id: names single entries; "),
        (("--id", "12"), "--id: must be stream ids such as 1-0"),
        (("--id", "x-y"), "--id: must be stream ids such as 1-0"),
        (("--since", "soon"), "--since: must be a duration such as 10m"),
        (("--since", "0", "--until", "x"), "--until: must be a duration such as 10m"),
        (("--since", "0", "--to", "{ncs}:due"), "--to: is one of the sidecar's own keys"),
        (("--since", "0", "--to", "{ncs:1}:events"), "--to: is one of the sidecar's own keys"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    filled: str, args: tuple[str, ...], message: str
) -> None:
    result = run(filled, *args, "--yes")

    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert replayed(filled) == []


def test_a_store_that_is_away_is_one_line_and_exit_code_1() -> None:
    result = run("unix:///nonexistent/socket", "--since", "0", "--yes")

    assert result.exit_code == 1
    assert result.stderr.startswith("unreachable: ")
    assert result.stderr.count("\n") == 1


def test_a_target_that_refuses_says_how_far_it_came(filled: str) -> None:
    execute(filled, "SET", "text", "not a stream")
    result = run(filled, "--since", "0", "--to", "text", "--yes")

    assert result.exit_code == 1
    assert "0 put again; not known: the 4 from 1-0 to 4-0" in result.stderr


def test_the_help_says_that_the_scheduler_ignores_copies() -> None:
    text = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())

    assert "The scheduler takes nothing from entries of origin" in text


# Quarantine


def test_what_can_be_read_by_now_becomes_a_proper_entry_once(url: str) -> None:
    body = notice()
    set_aside(url, "1-0", body)
    set_aside(url, "2-0", b'{"noticeId": 5}')

    result = run(url, "--from", "quarantine", "--since", "0", "--yes")

    assert result.exit_code == 0
    assert result.stdout == "1 put again, 1 still unreadable\n"
    assert result.stderr.startswith("2-0: still unreadable: schema: ")
    [(_, fields)] = entries(url)
    expected = notification_fields(
        read_notification(body), source="default", received_ms=RECEIVED_MS, origin="replay"
    )
    pairs = zip(expected[::2], expected[1::2], strict=True)
    assert fields == {n.encode(): v.encode() for n, v in pairs} | {b"data": body}
    again = run(url, "--from", "quarantine", "--since", "0", "--yes")
    assert again.stdout == "1 on the stream already, 1 still unreadable\n"
    assert len(entries(url)) == 1


def test_a_notice_that_arrived_after_all_is_not_doubled(url: str) -> None:
    set_aside(url, "1-0", notice("n-9"))
    execute(url, "SET", KEYS.seen("default", "n-9"), "5-0")

    assert run(url, "--from", "quarantine", "--id", "1-0", "--yes").exit_code == 0
    assert entries(url) == []


def test_equal_payloads_of_a_redundant_source_are_one_entry(url: str) -> None:
    for number, source in enumerate(("pair", "pair", "plain", "plain"), start=1):
        set_aside(url, f"{number}-0", notice(f"n-{number}"), source)
    secrets = [{"label": "x", "value": "y"}]
    sources = [
        {"name": "pair", "secrets": secrets, "redundant": True},
        {"name": "plain", "secrets": secrets},
    ]

    args = ("--from", "quarantine", "--since", "0", "--yes")
    result = run(url, *args, SIDECAR_SOURCES=json.dumps(sources))

    assert result.stdout == "3 put again, 1 on the stream already\n"


def test_a_recording_is_found_in_what_could_not_be_read(url: str) -> None:
    set_aside(url, "1-0", notice("n-1", SID))
    set_aside(url, "2-0", notice("n-2", "other"))

    result = run(url, "--from", "quarantine", "--recording", SID, "--dry-run", "--json")

    [row] = map(json.loads, result.stdout.splitlines())
    assert (row["original"], row["outcome"]) == ("1-0", "would put")
    assert entries(url) == []


def test_a_test_notification_is_no_event(url: str) -> None:
    payload = {"cname": "test_webhook", "uid": "12121212", "sid": SID}
    set_aside(url, "1-0", notice(payload=payload))

    result = run(url, "--from", "quarantine", "--since", "0", "--yes")

    assert result.exit_code == 1
    assert result.stdout == "1 test notifications of the console\n"
    assert entries(url) == []


def test_what_goes_elsewhere_leaves_no_mark(url: str) -> None:
    set_aside(url, "1-0", notice())
    args = ("--from", "quarantine", "--since", "0", "--yes")

    assert run(url, *args, "--to", "elsewhere").stdout == "1 put again\n"
    assert len(entries(url, "elsewhere")) == 1
    assert run(url, *args).stdout == "1 put again\n"
    assert len(entries(url)) == 1


# Shards


async def test_copies_go_to_the_stream_of_their_shard(server: str) -> None:
    shards = Shards("ncs", 4)
    client = connect(server)
    await client.flushall()
    raws = [(f"{n}-0", {b"subject": f"sid-{n}".encode()}) for n in range(20)]
    await EventCopier(client, shards).put(raws)
    for keys in shards.all:
        found = [fields[b"subject"].decode() for _, fields in await client.xrange(keys.events)]
        mine = [f"sid-{n}" for n in range(20) if shards.of(f"sid-{n}") is keys]
        assert found == mine
        assert found
    await client.aclose()
