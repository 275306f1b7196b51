"""What is measured: a store and a receiver as deployed, each on its core; always ended."""

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from agora_sidecar.cli.demo.stage import free_ports
from agora_sidecar.cli.embedded import server_program
from tests.bench.notices import SECRET
from tests.integration.processes import Store, get, until

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
START_LIMIT = 20.0
"""Seconds for a receiver to be ready."""
STREAM = "{ncs}:events"
PAGE = 5000


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: the receiver on the first core, store and load on the others."""

    receiver: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls) -> "Cores":
        """Of those that this process may use."""
        first, *others = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset(others or {first}))

    def __str__(self) -> str:
        """For people."""
        if self.receiver == self.others:
            return "one core for everything: the load takes from the receiver"
        others = ",".join(map(str, sorted(self.others)))
        return f"receiver on core {min(self.receiver)}, store and load on core {others}"


def pin(pid: int, cores: frozenset[int]) -> None:
    """Keep a process, with all its threads, on these cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            os.sched_setaffinity(int(thread.name), cores)


def cpu(pid: int) -> float:
    """Seconds of CPU, user and system, that its threads have used, to the nanosecond."""
    spent = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            spent += int((thread / "schedstat").read_text().split()[0])
    return spent / 1e9


def resident(pid: int, field: str = "VmRSS") -> float:
    """MiB in memory; `VmHWM`: at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running one; `ready_after` in seconds from exec to the first 200 of /readyz."""

    pid: int
    port: int
    ops_port: int
    ready_after: float

    async def drained(self) -> bool:
        """Whether the spool has given everything back, as of a second ago."""
        spool = json.loads((await get(self.ops_port, "/status"))[1])["spool"]
        return bool(spool.get("waiting") == 0)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of this run, with a path that is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="as-bench-") as folder:
        yield Path(folder)


@asynccontextmanager
async def a_store(folder: Path, *, fsync: bool) -> AsyncIterator[Store]:
    """A server on the cores of this process; ended with the block."""
    store = Store(
        server_program(), folder / "store", *(ALWAYS if fsync else ("--appendonly", "no"))
    )
    try:
        await store.start()
        yield store
    finally:
        store.end()


@contextmanager
def server(command: list[str], *, cores: Cores, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process on the receiver's core; ended with the block."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        pin(process.pid, cores.receiver)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


async def ready_after(process: subprocess.Popen[bytes], port: int, *, began: float) -> float:
    """Seconds from `began` (monotonic) until `GET /readyz` is 200.

    Raises:
        RuntimeError: the process ended, or it took more than START_LIMIT.
    """
    while time.monotonic() - began < START_LIMIT and process.poll() is None:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            found = await reader.readuntil(b"\r\n")
            writer.close()
            if b" 200 " in found:
                return time.monotonic() - began
        await asyncio.sleep(0.005)
    raise RuntimeError("the server did not become ready")


@asynccontextmanager
async def a_receiver(
    folder: Path, url: str, *, cores: Cores, durability: str = "disk", hedge_after: str = "2s"
) -> AsyncIterator[Receiver]:
    """`agora-sidecar receiver`, ready; ended with the block."""
    ports = free_ports()
    config = folder / "sidecar.toml"
    config.write_text(
        f'data_dir = "{folder}/data"\n[redis]\nurl = "{url}"\n[receiver]\n'
        f'listen = "127.0.0.1:{ports.receiver}"\nops_listen = "127.0.0.1:{ports.receiver_ops}"\n'
        f'secret = "{SECRET}"\ndurability = "{durability}"\nhedge_after = "{hedge_after}"\n'
        '[logging]\nlevel = "error"\n'
    )
    command = [sys.executable, "-m", "agora_sidecar", "receiver", "--config", str(config)]
    began = time.monotonic()
    with server(command, cores=cores, log=folder / "receiver.log") as process:
        took = await ready_after(process, ports.receiver_ops, began=began)
        pin(process.pid, cores.receiver)
        yield Receiver(process.pid, ports.receiver, ports.receiver_ops, took)


async def on_stream(store: Store) -> Counter[str]:
    """How often each notice id is on the stream."""
    found: Counter[str] = Counter()
    start = "-"
    while True:
        page = await store.do("XRANGE", STREAM, start, "+", "COUNT", str(PAGE))
        for _, fields in page:
            names = (
                fields if isinstance(fields, dict) else dict(zip(*[iter(fields)] * 2, strict=True))
            )
            found[names[b"id"].decode()] += 1
        if len(page) < PAGE:
            return found
        start = "(" + page[-1][0].decode()


async def settled(receiver: Receiver, store: Store, *, least: int) -> Counter[str]:
    """What is on the stream when the spool is empty: at least `least` entries, or a minute passed."""
    end = time.monotonic() + 60

    async def all_there() -> bool:
        enough = await store.do("XLEN", STREAM) >= least and await receiver.drained()
        return enough or time.monotonic() > end

    await until(all_there, seconds=90)
    await asyncio.sleep(1.2)  # /status is up to a second old
    await until(all_there, seconds=90)
    return await on_stream(store)


async def store_memory(store: Store) -> int:
    """Bytes that the store uses."""
    return int((await store.do("INFO", "memory"))["used_memory"])


def forced(folder: Path, *, times: int = 200) -> tuple[float, float]:
    """What an fsync of 4 KiB takes on this disk: median and the slowest hundredth, ms."""
    took = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return median(took), sorted(took)[-max(1, times // 100)]


async def conditions(cores: Cores) -> dict[str, Any]:
    """Where and when the figures were made."""
    with scratch() as folder:
        typical, slow = forced(folder)
        async with a_store(folder, fsync=False) as store:
            info = await store.do("INFO", "server")
    name, version = "Redis", info.get("redis_version")
    if "valkey_version" in info:
        name, version = "Valkey", info["valkey_version"]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "placement": str(cores),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "store": f"{name} {version}",
        "fsync_ms": [typical, slow],
        "used_before": await _used(),
        "busy": sorted(others()),
    }


async def _used(seconds: float = 2.0) -> float:
    """Share of all cores that was in use for that long."""
    before = _ticks()
    await asyncio.sleep(seconds)
    total, idle = (now - then for now, then in zip(_ticks(), before, strict=True))
    return 1 - idle / max(1, total)


def _ticks() -> tuple[int, int]:
    """All, and those in which a core was idle or waited for a disk."""
    fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def others() -> set[str]:
    """Other programs of this project that run now."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = place.read_bytes().decode(errors="replace").split("\0")
            found |= {
                w
                for w in words
                if w in {"tests.faults", "tests.fuzz", "pytest"} or w.endswith("/pytest")
            }
    return {Path(word).name for word in found}
