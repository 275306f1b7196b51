"""Several servers that belong together: a Cluster, and a master with Sentinels. Always ended.

On 127.0.0.1, each on a free port below 45000, since a Cluster's bus is 10000 above it.
"""

import asyncio
import random
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from redis.crc import key_slot

from agora_sidecar.store import StoreError, connect, store_errors
from tests.integration.processes import until

SLOTS = 16384
HIGHEST = 45_000
BUS = 10_000
PATIENT = "20000"
"""Milliseconds: on a busy machine a node that is well may be silent for seconds."""
CLUSTERED = ("--cluster-enabled", "yes", "--cluster-node-timeout", PATIENT)


def free_port() -> int:
    """A port that nobody listens on, and neither on that of its bus."""
    for _ in range(200):
        port = random.randrange(20_000, HIGHEST)
        with suppress(OSError), socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + BUS))
            return port
    raise AssertionError("no free ports")


def slot_of(key: str) -> int:
    return key_slot(key.encode())


class Node:
    """One server on a port; killed and started again with what it kept in `folder`."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self.program = program
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(self.program, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--dir", str(self.folder), "--logfile", str(self.folder / "log")),
                *("--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction"),
                *self.options,
            ],
            stdin=subprocess.DEVNULL,
        )
        await until(self.answers)

    async def answers(self) -> bool:
        with suppress(StoreError):
            return bool(await self.do("PING"))
        return False

    async def do(self, *command: Any) -> Any:
        client = connect(self.url, timeout=2.0)
        execute: Any = client.execute_command
        try:
            with store_errors():
                return await execute(*command)
        finally:
            await client.aclose()

    async def info(self, name: str) -> str:
        return str((await self.do("INFO"))[name])

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait(10)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)


class Cluster:
    """Primaries that share the slots evenly, and one more that has none (`spare`)."""

    def __init__(self, program: str, folder: Path, *, primaries: int = 3) -> None:
        kept = ("--appendonly", "yes", "--appendfsync", "always")
        alone = (
            "--cluster-allow-replica-migration",
            "no",
        )  # who lost its last slot stays a primary
        self.nodes = [
            Node(program, folder / str(number), *CLUSTERED, *kept, *alone)
            for number in range(primaries + 1)
        ]
        self.spare = self.nodes[-1]
        self.primaries = self.nodes[:-1]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{n.port}" for n in self.primaries)

    async def start(self) -> None:
        await asyncio.gather(*(node.start() for node in self.nodes))
        await self._join()

    def end(self) -> None:
        for node in self.nodes:
            node.end()

    async def give_up_after(self, milliseconds: str) -> None:
        """How long a node may be silent; those that are started again know it as well."""
        for node in self.nodes:
            node.options += ("--cluster-node-timeout", milliseconds)
            await node.do("CONFIG SET", "cluster-node-timeout", milliseconds)

    async def owner(self, slot: int) -> Node:
        """Who serves this slot, as the first primary that answers says."""
        for node in self.primaries:
            with suppress(StoreError):
                ranges = await node.do("CLUSTER SLOTS")
                [port] = [primary[1] for low, high, primary, *_ in ranges if low <= slot <= high]
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError("no primary answers")

    async def move(self, slot: int, to: Node) -> None:
        """Give a slot with all its keys to another node, as resharding does."""
        source = await self.owner(slot)
        await self.begin_move(slot, source, to)
        while keys := await source.do("CLUSTER GETKEYSINSLOT", slot, 100):
            await source.do("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        await self.finish_move(slot, to)

    async def begin_move(self, slot: int, source: Node, to: Node) -> None:
        for node, word, other in ((to, "IMPORTING", source), (source, "MIGRATING", to)):
            await node.do("CLUSTER SETSLOT", slot, word, await self._id(other))

    async def finish_move(self, slot: int, to: Node) -> None:
        new = await self._id(to)
        for node in (to, *(node for node in self.nodes if node is not to)):
            await node.do("CLUSTER SETSLOT", slot, "NODE", new)

    async def whole(self) -> bool:
        """Whether every node says that the Cluster is well."""
        told = [await node.do("CLUSTER INFO") for node in self.nodes]
        return all(state["cluster_state"] == "ok" for state in told) and all(
            state["cluster_known_nodes"] == str(len(self.nodes)) for state in told
        )

    async def _join(self) -> None:
        share = SLOTS // len(self.primaries) + 1
        for number, node in enumerate(self.primaries):
            low = number * share
            await node.do("CLUSTER ADDSLOTSRANGE", low, min(low + share, SLOTS) - 1)
        for number, node in enumerate(self.nodes):
            await node.do("CLUSTER SET-CONFIG-EPOCH", number + 1)
            if number:
                await self.nodes[0].do("CLUSTER MEET", "127.0.0.1", node.port)
        await until(self.whole)

    async def _id(self, node: Node) -> str:
        told = await node.do("CLUSTER MYID")
        return told.decode() if isinstance(told, bytes) else str(told)


class Watched:
    """A master `mymaster` and its replica, watched by three Sentinels that agree by two."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.master = Node(program, folder / "0")
        self.replica = Node(program, folder / "1", "--replicaof", f"127.0.0.1 {self.master.port}")
        self._sentinels: list[tuple[int, subprocess.Popen[bytes]]] = []

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port, _ in self._sentinels)
        return f"redis+sentinel://{hosts}/mymaster"

    async def __aenter__(self) -> Self:
        try:
            await self.master.start()
            await self.replica.start()
            await until(self.replicates)
            for number in range(3):
                self._start_sentinel(number)
            for port, _ in self._sentinels:
                await until(lambda port=port: self._knows_all(port))
        except BaseException:
            self.end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        for _, process in self._sentinels:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        self.master.end()
        self.replica.end()

    def port_of(self, number: int) -> int:
        return self._sentinels[number][0]

    def send_sentinel(self, number: int, which: signal.Signals) -> None:
        _, process = self._sentinels[number]
        process.send_signal(which)
        if which is signal.SIGKILL:
            process.wait(10)

    async def replicates(self) -> bool:
        return await self.replica.info("master_link_status") == "up"

    async def sentinel(self, number: int, *command: Any) -> Any:
        return await self._ask(self._sentinels[number][0], *command)

    async def _ask(self, port: int, *command: Any) -> Any:
        client = connect(f"redis://127.0.0.1:{port}", timeout=2.0)
        execute: Any = client.execute_command
        try:
            with store_errors():
                return await execute(*command)
        finally:
            await client.aclose()

    async def _knows_all(self, port: int) -> bool:
        with suppress(StoreError):
            known = (await self._ask(port, "SENTINEL MASTERS"))["mymaster"]
            return bool(known["num-other-sentinels"] == 2 and known["num-slaves"] == 1)
        return False

    def _start_sentinel(self, number: int) -> None:
        port, config = free_port(), self._folder / f"sentinel-{number}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"logfile {self._folder}/sentinel-{number}.log\n"
            f"sentinel monitor mymaster 127.0.0.1 {self.master.port} 2\n"
            "sentinel down-after-milliseconds mymaster 500\n"
            "sentinel failover-timeout mymaster 2000\n"
        )
        process = subprocess.Popen(
            [self._program, str(config), "--sentinel"], stdin=subprocess.DEVNULL
        )
        self._sentinels.append((port, process))
