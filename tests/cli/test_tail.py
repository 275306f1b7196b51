"""The command against real servers: as a process where it follows, in this one where it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import typer
from typer.testing import CliRunner, Result

from agora_sidecar.cli.tail import line, read_moment, tail
from agora_sidecar.consumer.history import Feed, before, order, pages
from agora_sidecar.entry import Entry, finding_fields
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, connect
from tests.conftest import start_store
from tests.integration.processes import Store, until
from tests.integration.test_receiver_process import each_server, servers

pytestmark = pytest.mark.integration
KEYS = Keys()
SID = "38f8e3cfdc474cd56fc1ceba380d7e1a"
PROGRAM = "import typer; from agora_sidecar.cli.tail import tail; typer.run(tail)"

app = typer.Typer()
app.command()(tail)


@pytest.fixture(scope="module", params=each_server())
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        process, url = start_store(request.param, Path(folder))
        yield url
        process.terminate()
        process.wait(10)


def entry(number: int, **changes: str) -> list[Any]:
    fields: dict[str, Any] = {
        "id": f"n-{number}",
        "source": "/agora/default",
        "type": "io.agora.cloud_recording.uploaded",
        "subject": SID,
        "time": "2023-11-14T22:13:20.123Z",
        "cname": "room-1",
        "uid": "7",
        "sequence": str(number),
        "data": '{"noticeId": "n"}',
        "origin": "webhook",
    }
    return [part for pair in (fields | changes).items() for part in pair]


@pytest.fixture
def filled(url: str) -> str:
    """A store with an upload, a finding and an event of another channel, at ids 1-0, 2-0, 3-0."""
    closed = finding_fields(
        sid=SID,
        kind="closed",
        number=1,
        source="default",
        cname="room-1",
        uid="7",
        data=b"{}",
        now_ms=2000,
    )

    async def fill() -> None:
        client = connect(url)
        await client.flushall()
        put: Any = client.execute_command
        await put("XADD", KEYS.events, "1-0", *entry(1))
        await put("XADD", KEYS.events, "2-0", *closed)
        await put("XADD", KEYS.events, "3-0", *entry(3, subject="other", cname="\x1b[2Jroom"))
        await client.aclose()

    asyncio.run(fill())
    return url


def run(url: str, *args: str, **environment: str) -> Result:
    env = {"SIDECAR_REDIS__URL": url} | environment
    return CliRunner().invoke(app, list(args), env=env)


def shown(result: Result) -> list[str]:
    """The stream ids of what was printed as JSON."""
    assert result.exit_code == 0, result.output
    return [json.loads(row)["streamId"] for row in result.stdout.splitlines()]


def test_without_following_everything_is_shown_one_line_an_entry(filled: str) -> None:
    result = run(filled, "--no-follow")

    assert result.exit_code == 0
    assert [" ".join(row.split()) for row in result.stdout.splitlines()] == [
        "2023-11-14T22:13:20.123Z cloud_recording.uploaded room-1 38f8e3cf… 7 1 webhook",
        "1970-01-01T00:00:02.000Z sidecar.recording.closed room-1 38f8e3cf… 7 - reconciler",
        "2023-11-14T22:13:20.123Z cloud_recording.uploaded \ufffd[2Jroom other 7 3 webhook",
    ]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ["1-0", "2-0", "3-0"]),
        (("--recording", SID), ["1-0", "2-0"]),
        (("--channel", "room-1"), ["1-0", "2-0"]),
        (("--type", "recording.closed"), ["2-0"]),
        (("--recording", SID, "--type", "uploaded"), ["1-0"]),
        (("--since", "2-0"), ["2-0", "3-0"]),
        (("--since", "3"), ["3-0"]),
        (("--since", "0"), ["1-0", "2-0", "3-0"]),
        (("--since", "10m"), []),
        (("--limit", "2"), ["1-0", "2-0"]),
        (("--recording", "nobody"), []),
    ],
)
def test_only_what_was_asked_for_is_shown(
    filled: str, args: tuple[str, ...], expected: list[str]
) -> None:
    assert shown(run(filled, "--no-follow", "--json", *args)) == expected


def test_json_is_the_cloudevent_and_its_place(filled: str) -> None:
    result = run(filled, "--no-follow", "--json", "--limit", "1")

    assert json.loads(result.stdout) == {
        "streamId": "1-0",
        "specversion": "1.0",
        "id": "n-1",
        "source": "/agora/default",
        "type": "io.agora.cloud_recording.uploaded",
        "subject": SID,
        "time": "2023-11-14T22:13:20.123Z",
        "datacontenttype": "application/json",
        "cname": "room-1",
        "uid": "7",
        "sequence": "1",
        "origin": "webhook",
        "data": {"noticeId": "n"},
    }


def test_looking_changes_nothing(filled: str) -> None:
    async def state() -> list[Any]:
        client = connect(filled)
        try:
            info = await client.xinfo_stream(KEYS.events)
            return [info["groups"], info["length"], await client.keys("*")]
        finally:
            await client.aclose()

    earlier = asyncio.run(state())
    run(filled, "--no-follow")
    assert asyncio.run(state()) == earlier
    assert earlier[0] == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--since", "yesterday"), "--since: must be a duration such as 10m"),
        (("--since", "0m"), "--since: must be a duration"),
        (("--since", "99999999999999999999-0"), "--since: must be a stream id"),
        (("--since", "2026-11-01"), "--since: must be a duration such as 10m"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    filled: str, args: tuple[str, ...], message: str
) -> None:
    result = run(filled, *args)

    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_wrong_settings_are_exit_code_2() -> None:
    assert run("ftp://x", "--no-follow").exit_code == 2


def test_without_following_a_store_that_is_away_is_one_line_and_exit_code_1() -> None:
    result = run("unix:///nonexistent/socket", "--no-follow")

    assert result.exit_code == 1
    assert result.stderr.startswith("unreachable: ")
    assert result.stderr.count("\n") == 1


def test_what_no_waiting_heals_ends_it_even_when_following(filled: str) -> None:
    async def spoil() -> None:
        client = connect(filled)
        await client.set(KEYS.events, "not a stream", xx=True)
        await client.aclose()

    asyncio.run(spoil())
    result = run(filled)
    assert result.exit_code == 1
    assert result.stderr.startswith("wrongtype: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", "1699999910000"),
        ("1795410302032-5", "1795410302032-5"),
        ("0", "0"),
        ("2023-11-14T22:13:20Z", "1700000000000"),
        ("3650d", "1384640000000"),
    ],
)
def test_a_moment_is_a_duration_ago_an_id_or_a_date(text: str, expected: str) -> None:
    assert read_moment(text, now=1_700_000_000.0) == expected


def test_an_entry_with_nothing_in_it_is_a_line_too() -> None:
    empty = Entry("1-0", id="", source="", type="", subject="", time="", data=b"", origin="")
    assert len(line(empty).split()) >= 7


# A process of its own


class Tail:
    """`agora-sidecar tail`, running; its lines as they come."""

    def __init__(self, url: str, *args: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="as-")
        self.out = Path(self.folder.name) / "out"
        self.err = Path(self.folder.name) / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = start(url, *args, stdout=out, stderr=err)

    def lines(self) -> list[Any]:
        return [json.loads(row) for row in self.out.read_text().splitlines()]

    def ids(self) -> list[str]:
        return [row["id"] for row in self.lines()]

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.folder.cleanup()


def start(url: str, *args: str, **streams: IO[bytes] | int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"SIDECAR_REDIS__URL": url}
    command = [sys.executable, "-c", PROGRAM, *args]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, **streams)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
async def client(url: str) -> AsyncIterator[Redis]:
    client = connect(url)
    await client.flushall()
    yield client
    await client.aclose()


async def put(client: Redis, number: int, key: str = KEYS.events) -> None:
    execute: Any = client.execute_command
    await execute("XADD", key, "*", *entry(number))


async def put_until_seen(client: Redis, running: Tail) -> None:
    """Entries, until the first is shown: it begins with what comes after it has started."""

    async def seen() -> bool:
        assert running.process.poll() is None, running.err.read_text()
        await put(client, 0)
        return bool(running.lines())

    await until(seen)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_follows_what_comes_and_a_signal_ends_it_with_0(
    client: Redis, url: str, number: signal.Signals
) -> None:
    await put(client, 99)
    running = Tail(url, "--json")
    try:
        await put_until_seen(client, running)
        await put(client, 1)
        await until(lambda: running.ids()[-1:] == ["n-1"])
        assert "n-99" not in running.ids()
        assert await running.end(number) == 0
        assert running.err.read_text() == ""
    finally:
        running.close()


async def test_a_store_that_dies_and_comes_back_empty_is_waited_for() -> None:
    for program in servers():
        with tempfile.TemporaryDirectory(prefix="as-") as folder:
            store = Store(program, Path(folder))
            await store.start()
            # its clock was ahead: what comes later has older ids
            await store.do("XADD", KEYS.events, "99999999999999-0", *entry(1))
            running = Tail(store.url, "--json", "--since", "0")
            try:
                await until(lambda one=running: one.ids() == ["n-1"])
                store.send(signal.SIGKILL)
                await until(lambda one=running: "away" in one.err.read_text())
                await store.start()
                await store.do("XADD", KEYS.events, "*", *entry(2))
                await until(lambda one=running: one.ids() == ["n-1", "n-2"])
                assert await running.end(signal.SIGTERM) == 0
                away, back = running.err.read_text().splitlines()
                assert away.startswith("the store is away, waiting for it: unreachable: ")
                assert back.startswith("the store is back after ")
            finally:
                running.close()
                store.end()


async def test_it_may_be_started_before_the_store_is_there(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder))
        running = Tail(store.url, "--json")
        try:
            await until(lambda: "away" in running.err.read_text())
            assert await running.end(signal.SIGINT) == 0
        finally:
            running.close()


async def closes_its_pipe_after_one_line(url: str, *args: str) -> tuple[int, bytes]:
    """Exit code and standard error of a `tail` whose reader goes away."""
    process = start(url, *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stderr as errors:
        try:
            with process.stdout as lines:
                assert await asyncio.to_thread(lines.readline)
            return await asyncio.to_thread(process.wait, 20), errors.read()
        finally:
            process.kill()
            process.wait(10)


async def test_a_pipe_that_closes_while_nothing_comes_ends_it_with_0(
    client: Redis, url: str
) -> None:
    await put(client, 1)
    assert await closes_its_pipe_after_one_line(url, "--since", "0") == (0, b"")


async def test_a_pipe_that_closes_under_a_flood_ends_it_with_0(client: Redis, url: str) -> None:
    pipe = client.pipeline(transaction=False)
    for number in range(3000):
        flat = entry(number)
        pipe.xadd(KEYS.events, dict(zip(flat[::2], flat[1::2], strict=True)))
    await pipe.execute()
    assert await closes_its_pipe_after_one_line(url, "--no-follow") == (0, b"")


# Reading without a group


async def drained(feed: Feed) -> list[str]:
    found = []
    while some := await feed.read():
        found += [fields[b"n"].decode() for _, fields in some]
    return found


async def test_several_streams_are_merged_by_their_ids_over_many_pages(client: Redis) -> None:
    shards = Shards("ncs", 3).all
    pipe = client.pipeline(transaction=False)
    expected = [str(n) for n in range(1, 2501)]
    for n in range(1, 2501):
        key = shards[0 if n % 10 else 1].events
        pipe.xadd(key, {"n": str(n)}, id=f"{n}-0")
    await pipe.execute()
    feed = Feed(client, {keys.events: "0-0" for keys in shards})

    assert await drained(feed) == expected
    await client.xadd(shards[2].events, {"n": "later"}, id="2600-0")
    assert await drained(feed) == ["later"]


async def test_a_stream_that_began_anew_is_read_anew_after_healing(client: Redis) -> None:
    await client.xadd(KEYS.events, {"n": "old"}, id="99999999999999-0")
    feed = Feed(client, {KEYS.events: "0-0"})
    assert await drained(feed) == ["old"]
    await client.delete(KEYS.events)
    await client.xadd(KEYS.events, {"n": "new"})
    assert await drained(feed) == []
    await feed.heal()
    assert await drained(feed) == ["new"]


async def test_pages_are_bounded_and_whole(client: Redis) -> None:
    for n in range(1, 1101):
        await client.xadd(KEYS.events, {"n": str(n)}, id=f"{n}-0")
    found = [page async for page in pages(client, KEYS.events, first="2", last="1099-0")]

    assert [len(page) for page in found] == [500, 500, 98]
    assert (found[0][0][0], found[-1][-1][0]) == ("2-0", "1099-0")


def test_the_position_before_an_id_lets_it_in() -> None:
    assert before("5-3") == "5-2"
    assert before("5") == "4-18446744073709551615"
    assert before("0") == "0-0"
    assert order("5") == (5, 0)


@pytest.mark.parametrize("text", ["", "-", "a-1", "1-", "-1", "1-2-3", "18446744073709551616-0"])
def test_what_is_no_stream_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a stream id"):
        order(text)


def test_now_is_the_present() -> None:
    assert abs(int(read_moment("1ms", now=time.time())) / 1000 - time.time()) < 1
