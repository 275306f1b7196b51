import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

from agora_sidecar.cli import embedded
from agora_sidecar.cli.embedded import MAX_FOLDER, EmbeddedStore, NoServerError, server_program
from agora_sidecar.store import connect, durability
from tests.integration.test_receiver_process import servers

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("program", servers(), ids=lambda program: Path(program).name)
@pytest.mark.parametrize(("fsync", "level"), [(True, "redis-fsync"), (False, "redis-memory")])
async def test_a_store_of_our_own_starts_keeps_what_it_should_and_ends(
    program: str, level: str, *, fsync: bool
) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = EmbeddedStore(Path(folder) / "store", fsync=fsync, program=program)
        for kept in (None, b"1" if fsync else None):
            client = connect(await store.start())
            assert (await durability(client)).level == level
            assert await client.get("key") == kept
            await client.set("key", "1")
            await client.aclose()
            await store.stop()
        assert not await _answers(store.url)
        await store.stop()


async def _answers(url: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(url.removeprefix("unix://"))
    except OSError:
        return False
    writer.close()
    return True


async def test_two_stores_never_write_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "STOP_TIMEOUT", 0.2)
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        first, second = (EmbeddedStore(Path(folder), fsync=True) for _ in range(2))
        client = connect(await first.start())
        with pytest.raises(NoServerError, match="another store runs there; end it first"):
            await second.start()
        assert await client.set("key", "1")
        await client.aclose()
        await first.stop()
        await second.start()
        await second.stop()


async def test_a_store_ends_with_a_process_that_is_killed() -> None:
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from agora_sidecar.cli.embedded import EmbeddedStore\n"
        "async def main():\n"
        "    print(await EmbeddedStore(Path(sys.argv[1]), fsync=True).start(), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        owner = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, folder), stdout=asyncio.subprocess.PIPE
        )
        assert owner.stdout is not None
        url = (await owner.stdout.readline()).decode().strip()
        assert await _answers(url)
        owner.kill()
        await owner.wait()
        again = EmbeddedStore(Path(folder), fsync=True)
        await again.start()  # waits for the other one
        await again.stop()


async def test_a_program_that_does_not_start_says_its_last_words() -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        with pytest.raises(NoServerError, match="false did not start: it left no log"):
            await EmbeddedStore(Path(folder), fsync=False, program="/bin/false").start()
        (Path(folder) / "appendonlydir").write_text("not a folder")
        with pytest.raises(NoServerError, match="did not start"):
            await EmbeddedStore(Path(folder), fsync=True).start()


@pytest.mark.parametrize("taken", ["store", "store/.lock/is a folder"])
async def test_a_folder_that_cannot_be_used_is_said(taken: str) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        (Path(folder) / taken).parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / taken).touch()
        with pytest.raises(
            NoServerError, match=r"store: .+; it must be a folder that we may write"
        ):
            await EmbeddedStore(Path(folder) / "store", fsync=True).start()


def test_a_folder_whose_socket_the_kernel_would_refuse_is_refused() -> None:
    with pytest.raises(NoServerError, match="use another folder"):
        EmbeddedStore(Path("/" + "x" * MAX_FOLDER), fsync=False)


def test_there_is_a_program_on_a_machine_with_the_extra() -> None:
    assert Path(server_program()).is_file()
