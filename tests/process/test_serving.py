import asyncio
import gc
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.service_manager import Manager, Sockets, handed_over
from agora_sidecar.process.serving import ListenError, background, listening, run
from tests.fakes.clock import FakeClock


def runner() -> web.AppRunner:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return web.AppRunner(app)


async def test_it_serves_for_as_long_as_the_block_and_tells_its_port() -> None:
    async with (
        listening(runner(), name="here", host="127.0.0.1", port=0) as port,
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        assert await answer.text() == "hello"
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_an_address_that_is_not_ours_is_one_clear_error(host: str) -> None:
    with pytest.raises(ListenError, match=rf"^receiver.listen: cannot listen on {host} port 1: "):
        async with listening(runner(), name="receiver.listen", host=host, port=1):
            raise AssertionError("it listens")


async def test_a_taken_port_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=r"^scheduler\.ops_listen"):
            async with listening(
                runner(), name="scheduler.ops_listen", host="127.0.0.1", port=port
            ):
                raise AssertionError("it listens")


async def test_background_work_ends_with_the_block() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background(work()):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_background_work_that_loses_a_cancellation_ends_all_the_same() -> None:
    async def work() -> None:
        with suppress(asyncio.CancelledError):  # as Python 3.11's wait_for may
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with background(work()):
            await asyncio.sleep(0)


async def test_background_work_that_fails_ends_the_block() -> None:
    async def work() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        async with background(work()):
            await asyncio.Event().wait()
    assert caught.group_contains(RuntimeError, match="a bug")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("fast", [False, True])
def test_a_signal_sets_the_event_and_uvloop_is_for_those_who_want_it(
    number: signal.Signals, *, fast: bool
) -> None:
    seen: list[str] = []

    async def main(stop: asyncio.Event) -> None:
        seen.append(type(asyncio.get_running_loop()).__module__)
        os.kill(os.getpid(), number)
        await stop.wait()

    run(main, fast=fast)
    assert seen[0].startswith("uvloop") == fast


def test_a_hangup_that_is_to_be_ignored_is_ignored() -> None:
    async def main(stop: asyncio.Event) -> None:
        later = asyncio.Event()
        # by the same way as the other, so that it is seen after it
        asyncio.get_running_loop().add_signal_handler(signal.SIGURG, later.set)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGURG)
        await later.wait()
        assert not stop.is_set()

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(main)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_hangup_asks_for_a_reload_even_one_that_came_too_early() -> None:
    reload = asyncio.Event()
    seen: list[bool] = []

    async def main(stop: asyncio.Event) -> None:
        await reload.wait()
        seen.append(stop.is_set())

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    signal.raise_signal(signal.SIGHUP)  # to this thread: others do not hold it back
    run(main, reload=reload)
    assert seen == [False]


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """A listening socket as the service manager keeps it."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held


def given(held: socket.socket, *names: str) -> Sockets:
    """What a process finds: a descriptor of its own for what another one keeps."""
    return Sockets(names or ("here",), first=os.dup(held.fileno()))


def port_of(held: socket.socket) -> int:
    port: int = held.getsockname()[1]
    return port


@asynccontextmanager
async def serving(held: socket.socket, *, goodbye: float = 0.0) -> AsyncIterator[int]:
    async with listening(
        runner(),
        name="here",
        host="127.0.0.1",
        port=port_of(held),
        sockets=given(held),
        goodbye=goodbye,
    ) as port:
        yield port


async def ask(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> str:
    reader, writer = stream
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return (await reader.readuntil(b"hello")).decode()


async def test_who_comes_between_two_processes_is_served_by_the_second(held: socket.socket) -> None:
    for _ in range(3):
        between = asyncio.create_task(asyncio.open_connection("127.0.0.1", port_of(held)))
        stream = await between  # the kernel answers, nobody accepts
        answer = asyncio.create_task(ask(stream))
        async with serving(held) as port:
            assert port == port_of(held)
            assert "200 OK" in await answer
        stream[1].close()


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_accepted_in_the_last_turn_is_served(held: socket.socket, turns: int) -> None:
    stream = await asyncio.open_connection("127.0.0.1", port_of(held))
    answer = asyncio.create_task(ask(stream))
    async with serving(held, goodbye=1.0):
        for _ in range(turns):
            await asyncio.sleep(0)
    async with serving(held):
        assert "200 OK" in await answer
    stream[1].close()


async def test_a_kept_connection_is_told_to_close_before_it_is_closed(held: socket.socket) -> None:
    async with serving(held, goodbye=5.0) as port:
        stream = await asyncio.open_connection("127.0.0.1", port)
        assert "Connection: close" not in await ask(stream)
        leaving = asyncio.get_running_loop().time()
        later = asyncio.get_running_loop().create_task(_ask_until_told(stream))
    assert "Connection: close" in await later
    assert asyncio.get_running_loop().time() - leaving < 4  # nobody is left: the rest is not waited
    stream[1].close()


async def _ask_until_told(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> str:
    while True:
        answer = await ask(stream)
        if "Connection: close" in answer:  # the server has begun to leave
            return answer
        await asyncio.sleep(0.01)


async def test_an_idle_connection_is_waited_for_no_longer_than_allowed(held: socket.socket) -> None:
    async with asyncio.timeout(5):
        async with serving(held, goodbye=0.2) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_a_socket_of_another_name_stays_where_it_is(held: socket.socket) -> None:
    sockets = given(held, "elsewhere")
    async with listening(runner(), name="here", host="127.0.0.1", port=0, sockets=sockets) as port:
        assert port != port_of(held)
    with sockets.take("elsewhere", host="127.0.0.1", port=0) or socket.socket() as taken:
        assert taken.getsockname() == held.getsockname()
    assert sockets.take("elsewhere", host="127.0.0.1", port=0) is None  # once


def refused(sockets: Sockets, *, host: str = "127.0.0.1", port: int = 0) -> str:
    with pytest.raises(ValueError) as caught:
        sockets.take("here", host=host, port=port)
    for number in sockets.descriptors:
        with suppress(OSError):
            os.close(number)
    return str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "192.0.2.1"])
def test_a_socket_for_another_address_is_refused(held: socket.socket, host: str) -> None:
    why = refused(given(held), host=host)
    assert f"listens on 127.0.0.1 port {port_of(held)}; make ListenStream=" in why


def test_a_socket_for_another_port_is_refused(held: socket.socket) -> None:
    assert "make ListenStream= and this setting the same" in refused(given(held), port=1)


def test_a_host_by_name_is_looked_up(held: socket.socket) -> None:
    taken = given(held).take("here", host="localhost", port=port_of(held))
    assert taken is not None
    taken.close()


def test_two_sockets_of_one_name_are_refused(held: socket.socket) -> None:
    assert "2 sockets of that name" in refused(Sockets(["here", "here"], first=900))


def test_what_is_no_listening_socket_is_refused_by_what_it_is(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert "is none: " in refused(Sockets(["here"], first=os.dup(file.fileno())))
    assert "is none: " in refused(Sockets(["here"], first=900))
    with socket.socket(socket.AF_UNIX) as unix:
        assert "not of the internet" in refused(given(unix))
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        assert "is no stream" in refused(given(datagrams))
    with socket.socket() as silent:
        assert "does not listen" in refused(given(silent))


def told(**changes: str) -> dict[str, str]:
    variables = {"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    return variables | changes


def test_what_was_handed_over_is_for_one_process_and_told_once() -> None:
    environment = told()
    sockets = handed_over(environment, pid=7)
    assert environment == {"HOME": "/"}
    assert sockets.descriptors == (3, 4)
    assert sockets.environment(pid=9) | environment == told(LISTEN_PID="9")
    assert handed_over(environment, pid=7).descriptors == ()
    assert handed_over(environment, pid=7).environment(pid=9) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"LISTEN_PID": "8"},
        {"LISTEN_PID": ""},
        {"LISTEN_FDS": "0"},
        {"LISTEN_FDS": "-1"},
        {"LISTEN_FDS": "many"},
        {"LISTEN_FDS": "99999999999"},
    ],
)
def test_what_is_meant_for_another_or_is_no_count_is_nothing(changes: dict[str, str]) -> None:
    environment = told(**changes)
    assert handed_over(environment, pid=7).descriptors == ()
    assert environment == {"HOME": "/"}


def test_the_only_socket_needs_no_name_and_names_may_be_missing() -> None:
    one = handed_over(told(LISTEN_FDS="1", LISTEN_FDNAMES="x.socket"), pid=7, sole="here")
    assert one.environment(pid=7)["LISTEN_FDNAMES"] == "here"
    two = handed_over(told(LISTEN_FDNAMES="a"), pid=7, sole="here")
    assert two.environment(pid=7)["LISTEN_FDNAMES"] == "a:"


@pytest.fixture(params=["path", "abstract"])
def news(request: pytest.FixtureRequest) -> Iterator[tuple[str, socket.socket]]:
    """The service manager's ear, and how it is written in the environment."""
    with (
        tempfile.TemporaryDirectory(prefix="as-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        abstract = request.param == "abstract"
        ear.bind(f"\0{folder}/n" if abstract else f"{folder}/n")
        ear.settimeout(5)
        yield f"@{folder}/n" if abstract else f"{folder}/n", ear


def heard(ear: socket.socket) -> list[str]:
    return ear.recv(4096).decode().splitlines()


def test_the_manager_hears_what_is_told_in_one_line(news: tuple[str, socket.socket]) -> None:
    address, ear = news
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "7"}
    manager = Manager(environment, pid=7)
    assert environment == {}
    manager.ready("receives\non port 1\nSTOPPING=1")
    assert heard(ear) == ["READY=1", "STATUS=receives on port 1 STOPPING=1"]
    manager.say("x" * 1000)
    assert heard(ear) == ["STATUS=" + "x" * 200]


async def test_it_hears_that_the_loop_turns_and_that_the_end_has_begun(
    news: tuple[str, socket.socket],
) -> None:
    address, ear = news
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"}
    manager, stop = Manager(environment, pid=7, shared=True), asyncio.Event()
    assert environment == {"NOTIFY_SOCKET": address}  # for workers; the watch is its own
    async with background(manager.accompany(stop, SystemClock())):
        for _ in range(3):
            assert await asyncio.to_thread(heard, ear) == ["WATCHDOG=1"]
        stop.set()
        while (lines := await asyncio.to_thread(heard, ear)) == ["WATCHDOG=1"]:
            pass
        assert lines == ["STOPPING=1", "STATUS=finishing what is under way"]
        assert await asyncio.to_thread(heard, ear) == ["WATCHDOG=1"]  # until it has ended


async def test_a_watch_for_another_process_is_not_kept(news: tuple[str, socket.socket]) -> None:
    address, ear = news
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "8"}
    stop = asyncio.Event()
    stop.set()
    async with background(Manager(environment, pid=7).accompany(stop, FakeClock())):
        assert (await asyncio.to_thread(heard, ear))[0] == "STOPPING=1"


@pytest.mark.parametrize(
    "address", ["", "nowhere", "/no/such/socket", "@" + "x" * 300, "vsock:2:1"]
)
def test_nobody_who_listens_is_no_harm(address: str) -> None:
    Manager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "soon"}, pid=7).ready("well")


def test_an_ear_that_is_full_is_no_harm() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="as-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        ear.bind(f"{folder}/n")
        manager = Manager({"NOTIFY_SOCKET": f"{folder}/n"}, pid=7)
        for _ in range(2000):
            manager.say("again")


async def test_background_work_that_never_began_is_no_warning() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup):  # a warning is an error in these tests
        async with background(work()):
            raise RuntimeError("at once")
    gc.collect()
