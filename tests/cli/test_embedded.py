import asyncio
import tempfile
from pathlib import Path

import pytest

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


async def test_a_program_that_does_not_start_says_its_last_words() -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        with pytest.raises(NoServerError, match="false did not start: it left no log"):
            await EmbeddedStore(Path(folder), fsync=False, program="/bin/false").start()
        (Path(folder) / "appendonlydir").write_text("not a folder")
        with pytest.raises(NoServerError, match="did not start"):
            await EmbeddedStore(Path(folder), fsync=True).start()


def test_a_folder_whose_socket_the_kernel_would_refuse_is_refused() -> None:
    with pytest.raises(NoServerError, match="use another folder"):
        EmbeddedStore(Path("/" + "x" * MAX_FOLDER), fsync=False)


def test_there_is_a_program_on_a_machine_with_the_extra() -> None:
    assert Path(server_program()).is_file()
