"""What else a store can do to a receiver, each done to a real one: every answer is 200, and in the
end every notice is on the stream once. (Killed, stopped, full, read-only, forgetful: beside
`test_receiver_process`; slow and cut at any byte: `tests/faults`; more of these, over more servers:
`test_store_failures`.)
"""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from agora_sidecar.store import connect
from tests.integration.processes import Sidecar, Store, get, sidecar, until
from tests.integration.test_receiver_process import (
    ALWAYS,
    ids,
    notice,
    send,
    servers,
    spool_is_empty,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

REDIS = servers()[0]


@asynccontextmanager
async def running(*options: str) -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-", ignore_cleanup_errors=True) as folder:
        store = Store(REDIS, Path(folder) / "r", *ALWAYS, *options)
        await store.start()
        try:
            yield store
        finally:
            store.end()


@asynccontextmanager
async def snapshotting() -> AsyncIterator[Store]:
    """With snapshots in a folder of their own, which may be taken away; Redis stays in it."""
    async with running("--save", "3600 1") as store:
        store.end()
        (store.folder / "snapshots").mkdir()
        store.options += ("--dir", str(store.folder / "snapshots"))
        await store.start()
        yield store


def kinds(receiver: Sidecar) -> set[str]:
    return {line["kind"] for line in receiver.said("inbox.append_failed")}


async def settled(receiver: Sidecar, store: Store, count: int) -> None:
    expected = sorted(f"n-{n}".encode() for n in range(1, count + 1))

    async def all_there() -> bool:
        return sorted(await ids(store)) == expected

    await until(all_there, seconds=10)
    await until(lambda: spool_is_empty(receiver), seconds=10)
    assert await all_there()


async def test_a_store_whose_disk_refuses_snapshots(tmp_path: Path) -> None:
    async with (
        snapshotting() as store,
        sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver,
    ):
        assert await send(receiver, notice(1)) == (200, "stored")
        shutil.rmtree(store.folder / "snapshots")  # open files live on; a snapshot has no place
        await store.do("BGSAVE")
        await until(lambda: _save_failed(store))
        assert await send(receiver, notice(2)) == (200, "spooled")
        assert "misconf" in kinds(receiver)
        await store.do("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        await settled(receiver, store, 2)


async def _save_failed(store: Store) -> bool:
    return bool((await store.do("INFO", "persistence"))["rdb_last_bgsave_status"] == "err")


async def test_a_store_that_is_still_loading(tmp_path: Path) -> None:
    """Says so to every command, as Redis does while it reads its file."""

    open_ones: list[asyncio.StreamWriter] = []

    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await answer(reader, writer)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2].upper())
            if words[0] in {b"CLIENT", b"SELECT"}:
                writer.write(b"+OK\r\n")
            else:
                writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")

    async with running() as store:
        store.send(signal.SIGKILL)
        (store.folder / "s").unlink()
        server = await asyncio.start_unix_server(loading, store.folder / "s")
        async with sidecar("receiver", tmp_path, store.url, ready="/livez") as receiver:
            await until(lambda: receiver.said("receiver.started"))
            assert await send(receiver, notice(1)) == (200, "spooled")
            assert receiver.said("store.lost")[0]["kind"] == "loading"
            server.close()
            for writer in open_ones:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
            await server.wait_closed()
            await store.start()
            await settled(receiver, store, 1)


async def test_a_store_that_wants_a_password_all_of_a_sudden(tmp_path: Path) -> None:
    async with (
        running() as store,
        sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver,
    ):
        assert await send(receiver, notice(1)) == (200, "stored")
        admin = connect(store.url)
        await admin.config_set("requirepass", "new")
        await admin.client_kill_filter(_type="normal", skipme=True)
        assert await send(receiver, notice(2)) == (200, "spooled")
        ready = (await get(receiver.ports.receiver_ops, "/readyz"))[1]
        await until(lambda: receiver.said("store.lost"))
        assert receiver.said("store.lost")[0]["kind"] == "noauth"
        assert "new" not in ready
        await admin.config_set("requirepass", "")
        await admin.aclose()
        await settled(receiver, store, 2)


async def test_an_idle_connection_that_the_server_closed_is_no_error(tmp_path: Path) -> None:
    async with (
        running() as store,
        sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver,
    ):
        answers = await asyncio.gather(*(send(receiver, notice(n)) for n in range(1, 9)))
        assert {status for status, _ in answers} == {200}
        before = receiver.said("inbox.append_failed")
        await store.do("CONFIG", "SET", "timeout", "1")

        async def closed() -> bool:
            found = await store.do("CLIENT", "LIST")
            return len(found) <= 2 if isinstance(found, list) else found.count(b"\n") <= 2

        await until(closed)
        assert await send(receiver, notice(9)) == (200, "stored")
        assert receiver.said("inbox.append_failed") == before


async def test_a_store_that_came_back_with_an_older_file_is_healed(tmp_path: Path) -> None:
    async with (
        running() as store,
        sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver,
    ):
        assert await send(receiver, notice(1)) == (200, "stored")
        store.send(signal.SIGKILL)
        kept = store.folder.with_name("kept")
        shutil.copytree(store.folder / "appendonlydir", kept)
        await store.start()
        await until(lambda: _stored(receiver, 2), seconds=5)
        store.send(signal.SIGKILL)
        shutil.rmtree(store.folder / "appendonlydir")
        shutil.copytree(kept, store.folder / "appendonlydir")
        await store.start()
        await until(lambda: _stored(receiver, 3), seconds=5)
        await until(lambda: spool_is_empty(receiver), seconds=5)
        assert b"n-3" in await ids(store)
        assert await send(receiver, notice(1)) == (200, "duplicate")


async def _stored(receiver: Sidecar, number: int) -> bool:
    return (await send(receiver, notice(number)))[1] in {"stored", "duplicate"}
