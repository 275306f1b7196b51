"""What a fail-over loses comes back from the copies in the spool, each event exactly once."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agora_sidecar.agora.signatures import sign
from agora_sidecar.cli.embedded import server_program
from agora_sidecar.keys import Shards
from agora_sidecar.store import StoreError
from tests.integration.processes import SECRET, Sidecar, post, sidecar, until
from tests.integration.test_receiver_process import notice, spool_is_empty
from tests.integration.topology import Cluster, Node, Watched, slot_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

EVENTS = "{ncs}:events"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="as-") as name:
        yield Path(name)


class Load:
    """Sends notices one after the other until it is ended; every answer must be 200."""

    def __init__(self, receiver: Sidecar) -> None:
        self._receiver = receiver
        self.answers: list[tuple[int, str]] = []
        self._task = asyncio.create_task(self._run())
        self._ended = False

    @property
    def known(self) -> set[bytes]:
        return {f"n-{number}".encode() for number in range(len(self.answers))}

    async def reaches(self, more: int) -> None:
        goal = len(self.answers) + more
        await until(lambda: len(self.answers) >= goal)

    async def end(self) -> None:
        self._ended = True
        await self._task
        assert {status for status, _ in self.answers} == {200}

    async def _run(self) -> None:
        while not self._ended:
            number = len(self.answers)
            payload = {"cname": f"r{number}", "sid": f"{number:032}", "sequence": number}
            body = notice(number, payload=payload)
            signed = sign(SECRET.encode(), body)
            self.answers.append(await post(self._receiver.ports.receiver, body, signed))
            await asyncio.sleep(0.005)


async def on(node: Node, stream: str = EVENTS) -> list[bytes]:
    return [fields[b"id"] for fields in await entries(node, stream)]


async def entries(node: Node, stream: str) -> list[dict[bytes, bytes]]:
    return [named(fields) for _, fields in await node.do("XRANGE", stream, "-", "+")]


def named(fields: list[bytes] | dict[bytes, bytes]) -> dict[bytes, bytes]:
    if isinstance(fields, dict):
        return fields
    return dict(zip(fields[::2], fields[1::2], strict=True))


async def test_what_a_fail_over_lost_is_offered_again(folder: Path, tmp_path: Path) -> None:
    async with Watched(server_program(), folder) as watched:
        for node in (watched.master, watched.replica):
            await node.do("CONFIG SET", "appendfsync", "always")
            await node.do("CONFIG SET", "appendonly", "yes")
        await until(watched.replicates)
        async with sidecar("receiver", tmp_path, watched.url, ready="/readyz") as receiver:
            load = Load(receiver)
            await load.reaches(30)
            watched.replica.send(signal.SIGSTOP)
            # or the kernel would hand over what was sent meanwhile
            await watched.master.do("CLIENT KILL", "TYPE", "replica")
            before = len(load.answers)
            await load.reaches(30)
            unheard = {f"n-{n}".encode() for n in range(before + 2, len(load.answers))}
            assert {answer for _, answer in load.answers} == {"stored"}
            watched.master.send(signal.SIGKILL)
            watched.replica.send(signal.SIGCONT)
            await until(watched.replica.answers)
            assert not unheard & set(await on(watched.replica))  # really lost
            await until(lambda: is_master(watched.replica))
            await until(lambda: receiver.said("spool.offers_again"))
            await load.reaches(30)
            await load.end()

            async def all_there() -> bool:
                return load.known <= set(await on(watched.replica))

            await until(all_there)
            await until(lambda: spool_is_empty(receiver))
            found = await on(watched.replica)
            assert len(found) == len(set(found))
            assert set(found) == load.known
            told = {e[b"id"]: e[b"origin"] for e in await entries(watched.replica, EVENTS)}
            assert {told[name] for name in unheard} == {b"spool"}


async def is_master(node: Node) -> bool:
    with suppress(StoreError):  # who is promoted drops its connections
        return await node.info("role") == "master"
    return False


async def test_a_node_of_a_cluster_that_is_killed_costs_no_event(
    folder: Path, tmp_path: Path
) -> None:
    cluster = Cluster(server_program(), folder)
    shards = Shards("ncs", 4)
    try:
        await cluster.start()
        async with sidecar(
            "receiver", tmp_path, cluster.url, more="[stream]\nshards = 4", ready="/readyz"
        ) as receiver:
            load = Load(receiver)
            await load.reaches(40)
            owner = await cluster.owner(slot_of(shards.all[1].events))
            owner.send(signal.SIGKILL)
            await load.reaches(40)
            await owner.start()
            await load.reaches(40)
            await load.end()

            async def everywhere() -> list[bytes]:
                found: list[bytes] = []
                for keys in shards.all:
                    found += await on(await cluster.owner(slot_of(keys.events)), keys.events)
                return found

            async def all_there() -> bool:
                with suppress(StoreError):  # the others have not heard of it yet
                    return load.known <= set(await everywhere())
                return False

            await until(all_there)
            await until(lambda: spool_is_empty(receiver))
            found = await everywhere()
            assert len(found) == len(set(found))
            assert set(found) == load.known
    finally:
        cluster.end()
