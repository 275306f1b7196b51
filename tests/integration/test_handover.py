"""The listening socket outlives its receiver: under load, a restart costs nobody an answer.

The test is the service manager: it owns the socket and hands it over as descriptor 3.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agora_sidecar.agora.signatures import sign
from agora_sidecar.cli.demo.stage import free_ports
from tests.bench.load import Answer, OpenLoop, Plan
from tests.bench.notices import SECRET as BENCH_SECRET
from tests.bench.notices import notice_id
from tests.integration.processes import SECRET, Store, configuration, until
from tests.integration.test_receiver_process import ALWAYS, ids, notice, servers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

RATE = 1000.0
"""Requests a second that the clients try to keep up; what a handover delays is sent after it."""
CLIENTS = 16
PORTION = 10.0
"""Seconds of load at that rate, after which all answers are waited for."""
PATIENCE = 20.0

SHIM = """
import os, sys
number, *command = sys.argv[1:]
os.dup2(int(number), 3, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "agora_sidecar", *command])
"""


class Manager:
    """Keeps the listening socket and hears what receivers tell."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self.socket.getsockname()[1]
        self.folder = folder
        self.heard: list[tuple[int, str]] = []
        self._started: list[subprocess.Popen[bytes]] = []
        self._news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._news.bind(str(folder / "n"))
        self._news.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._news.setblocking(False)

    def configure(self, redis_url: str, *, receiver: str = "") -> None:
        text = configuration(self.folder, free_ports(), redis_url, receiver=receiver)
        lines = [line for line in text.splitlines() if "listen = " not in line]
        at = lines.index("[receiver]") + 1
        lines[at:at] = [f'listen = "127.0.0.1:{self.port}"', 'ops_listen = "127.0.0.1:0"']
        (self.folder / "c.toml").write_text("\n".join(lines))

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    async def start(self, **more: str) -> subprocess.Popen[bytes]:
        """A new receiver, once it said that it is ready."""
        number = self.socket.fileno()
        told = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "receiver.listen"}
        environment = os.environ | told | {"NOTIFY_SOCKET": str(self.folder / "n")} | more
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-c", SHIM, str(number)),
                    *("receiver", "--config", str(self.folder / "c.toml")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(number,),
                env=environment,
            )
        self._started.append(process)
        before = self.count("READY=1")

        def ready() -> bool:
            assert process.poll() is None, self.log
            return self.count("READY=1") > before

        await until(ready)
        return process

    def count(self, line: str) -> int:
        """How often a line was told."""
        with suppress(BlockingIOError):
            while True:
                text = self._news.recv(4096).decode()
                self.heard += [(time.monotonic_ns(), line) for line in text.splitlines()]
        return sum(known == line for _, known in self.heard)

    async def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0, self.log

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        self.socket.close()
        self._news.close()


@dataclass
class Traffic:
    """Clients that each send on schedule, and what they were answered."""

    port: int
    sent: Iterator[int]
    over: bool = False
    answers: Counter[str] = field(default_factory=Counter)
    numbers: list[int] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def names(self) -> list[str]:
        return [f"n-{number}" for number in self.numbers]

    async def client(self, *, keep_alive: bool) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        stream: Stream | None = None
        while not self.over:
            at += CLIENTS / RATE
            await asyncio.sleep(at - loop.time())
            number = next(self.sent)
            self.numbers.append(number)
            began = loop.time()
            try:
                async with asyncio.timeout(PATIENCE):
                    stream = stream or await asyncio.open_connection("127.0.0.1", self.port)
                    answer, kept = await ask(stream, notice(number), keep_alive=keep_alive)
            except (OSError, EOFError, TimeoutError) as error:
                answer, kept = repr(error), False
            self.answers[answer] += 1
            self.slowest = max(self.slowest, loop.time() - began)
            if not kept and stream:
                stream[1].close()
                stream = None
        if stream:
            stream[1].close()


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask(stream: Stream, body: bytes, *, keep_alive: bool) -> tuple[str, bool]:
    """The answer and whether its connection is kept. Never repeated: a lost request is lost."""
    reader, writer = stream
    fields = sign(SECRET.encode(), body) | {"Host": "x", "Content-Length": str(len(body))}
    if not keep_alive:
        fields["Connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"POST /ncs HTTP/1.1\r\n{head}\r\n".encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    status = json.loads(await reader.readexactly(length))["status"]
    code = answer.split(b" ", 2)[1].decode()
    return f"{code} {status}", keep_alive and b"connection: close" not in answer


@asynccontextmanager
async def traffic(port: int) -> AsyncIterator[Traffic]:
    """Half of the clients keep their connections, half of them open one for each request."""
    found = Traffic(port, iter(range(1_000_000)))
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(found.client(keep_alive=number % 2 == 0))
        try:
            yield found
        finally:
            found.over = True


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


@pytest.fixture
def manager() -> Iterator[Manager]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        manager = Manager(Path(folder))
        yield manager
        manager.close()


async def hand_over(
    manager: Manager, old: subprocess.Popen[bytes], *, overlapping: bool
) -> subprocess.Popen[bytes]:
    """The next receiver: after the old one has ended, as on a restart, or before it ends."""
    if overlapping:
        new = await manager.start()
        await manager.stop(old)
        return new
    await manager.stop(old)
    return await manager.start()


async def more(seen: Traffic, count: int) -> None:
    """Let so many further requests be sent."""
    enough = len(seen.numbers) + count
    await until(lambda: len(seen.numbers) > enough)


async def everything_is_stored_once(store: Store, sent: Iterable[str]) -> None:
    expected = Counter(name.encode() for name in sent)

    async def all_there() -> bool:
        return await length(store) >= expected.total()

    await until(all_there)
    assert Counter(await ids(store)) == expected


async def length(store: Store) -> int:
    return int(await store.do("XLEN", "{ncs}:events"))


async def prove(manager: Manager, store: Store, times: int) -> None:
    receiver = await manager.start()
    began = time.monotonic()
    async with traffic(manager.port) as seen:
        for number in range(times):
            await more(seen, 200)
            receiver = await hand_over(manager, receiver, overlapping=number % 3 == 2)
        await more(seen, 500)
    took = time.monotonic() - began
    print(  # noqa: T201 - shown with -s
        f"{len(seen.numbers)} requests in {took:.1f} s, {times} handovers,"
        f" slowest {seen.slowest:.2f} s, {dict(seen.answers)}"
    )
    assert set(seen.answers) <= {"200 stored", "200 spooled"}, manager.log[-3000:]
    await everything_is_stored_once(store, seen.names)
    await manager.stop(receiver)
    assert "Traceback" not in manager.log
    assert manager.count("STOPPING=1") == times + 1


async def test_a_restart_refuses_and_loses_nobody(manager: Manager, store: Store) -> None:
    manager.configure(store.url)
    await prove(manager, store, 3)


class Crowd:
    """An open loop of a thousand requests a second, in portions, until it is told to end.

    What is due while nobody accepts is sent all the same, and waits at the socket. Each portion is
    waited for: on a machine that is too slow for the rate the pauses between them grow.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.over = False
        self.answers: list[Answer] = []
        self.sent: list[str] = []

    async def run(self) -> None:
        while not self.over:
            plan = Plan(
                run=f"{os.getpid():07x}{len(self.sent):07x}",
                rate=RATE,
                seconds=PORTION,
                connections=800,
                patience=120.0,
            )
            load = OpenLoop(plan, port=self._port)
            try:
                await load.prepare()
                self.answers += await load.run()
            finally:
                await load.end()
            self.sent += [notice_id(plan.run, number) for number in range(plan.count)]


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_ten_handovers_at_a_thousand_events_a_second_refuse_and_lose_nobody(
    manager: Manager, store: Store
) -> None:
    manager.configure(store.url)
    config = manager.folder / "c.toml"
    text = config.read_text().replace(f'"{SECRET}"', f'"{BENCH_SECRET}"')
    config.write_text(text.replace('ack_deadline = "2s"', 'ack_deadline = "8s"'))
    receiver = await manager.start()
    crowd = Crowd(manager.port)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.run())
        for number in range(10):
            await asyncio.sleep(0.5)
            receiver = await hand_over(manager, receiver, overlapping=number % 3 == 2)
        crowd.over = True
    took = sorted(answer.took for answer in crowd.answers)
    print(  # noqa: T201 - shown with -s
        f"{len(took)} requests at {RATE:g}/s, 10 handovers, half within {took[len(took) // 2]:.0f} ms,"
        f" slowest {took[-1]:.0f} ms, {Counter(answer.outcome for answer in crowd.answers)}"
    )
    statuses = Counter(answer.status for answer in crowd.answers)
    assert statuses == {200: len(crowd.sent)}, manager.log[-3000:]
    assert {answer.outcome for answer in crowd.answers} <= {"stored", "spooled"}
    await everything_is_stored_once(store, crowd.sent)
    await manager.stop(receiver)
    assert "Traceback" not in manager.log


@pytest.mark.slow
async def test_workers_accept_from_the_socket_that_was_handed_over(
    manager: Manager, store: Store
) -> None:
    manager.configure(store.url, receiver="workers = 2")
    receiver = await manager.start()
    async with traffic(manager.port) as seen:
        for _ in range(2):
            await more(seen, 500)
            receiver = await hand_over(manager, receiver, overlapping=False)
        await more(seen, 500)
    assert set(seen.answers) <= {"200 stored", "200 spooled"}, manager.log[-3000:]
    await everything_is_stored_once(store, seen.names)
    await manager.stop(receiver)


async def test_a_receiver_says_that_its_event_loop_turns(manager: Manager, store: Store) -> None:
    manager.configure(store.url)
    receiver = await manager.start(WATCHDOG_USEC="200000")
    before = manager.count("WATCHDOG=1")
    await until(lambda: manager.count("WATCHDOG=1") >= before + 3)
    assert manager.count(f"STATUS=receives on port {manager.port}") == 1
    await manager.stop(receiver)
    assert manager.count("STOPPING=1") == 1


async def test_another_socket_than_the_settings_say_is_one_clear_line(
    manager: Manager, store: Store
) -> None:
    manager.configure(store.url)
    config = manager.folder / "c.toml"
    config.write_text(config.read_text().replace(f":{manager.port}", ":8080"))
    with pytest.raises(AssertionError):
        await manager.start()
    (line,) = [line for line in manager.log.splitlines() if not line.startswith("{")]
    assert line == (
        "receiver.listen: cannot listen on 127.0.0.1 port 8080: the socket that was handed over "
        f"listens on 127.0.0.1 port {manager.port}; make ListenStream= and this setting the same"
    )
