"""What a store is asked and how its refusals are named, against every real server there is."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agora_sidecar.store import Redis, StoreError, connect, durability, store_errors
from tests.integration.processes import Store
from tests.integration.test_receiver_process import servers

pytestmark = pytest.mark.integration


@pytest.fixture(params=servers(), ids=lambda program: Path(program).name)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(request.param, Path(folder))
        await store.start()
        yield store
        store.end()


@pytest.fixture
async def client(store: Store) -> AsyncIterator[Redis]:
    client = connect(store.url, timeout=1.0)
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("settings", "level", "why"),
    [
        ({"appendonly": "no"}, "redis-memory", "appendonly is off"),
        ({"appendonly": "yes", "appendfsync": "everysec"}, "redis-memory", "everysec"),
        ({"appendonly": "yes", "appendfsync": "no"}, "redis-memory", "appendfsync is no"),
        ({"appendonly": "yes", "appendfsync": "always"}, "redis-fsync", ""),
        (
            {
                "appendonly": "yes",
                "appendfsync": "always",
                "no-appendfsync-on-rewrite": "yes",
            },
            "redis-memory",
            "while the file is rewritten",
        ),
    ],
)
async def test_how_safe_a_store_is_follows_its_configuration(
    client: Redis, settings: dict[str, str], level: str, why: str
) -> None:
    for name, value in settings.items():
        await client.config_set(name, value)
    async with asyncio.timeout(10):
        while (await client.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    found = await durability(client)
    assert found.level == level
    assert why in found.why


async def test_a_user_who_may_not_ask_is_told_so_and_nothing_is_assumed(
    store: Store, client: Redis
) -> None:
    await client.config_set("appendonly", "yes")
    await client.config_set("appendfsync", "always")
    await client.execute_command("ACL", "SETUSER", "few", "on", ">p", "~*", "+@all", "-config")
    asked = connect(store.url.replace("unix://", "unix://few:p@"))
    found = await durability(asked)
    await asked.aclose()
    assert found.level == "redis-memory"
    assert "CONFIG GET is not allowed" in found.why


@pytest.mark.parametrize(
    ("setup", "command", "kind"),
    [
        ([("CONFIG", "SET", "maxmemory", "1")], ("SET", "a", "b"), "oom"),
        ([("REPLICAOF", "127.0.0.1", "1")], ("SET", "a", "b"), "readonly"),
        ([("SET", "a", "b")], ("XADD", "a", "*", "c", "d"), "wrongtype"),
        ([], ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"), "nogroup"),
        ([], ("NO", "SUCH", "COMMAND"), "refused"),
    ],
)
async def test_a_refusal_is_named_by_the_servers_own_word(
    client: Redis, setup: list[tuple[str, ...]], command: tuple[str, ...], kind: str
) -> None:
    for step in setup:
        await client.execute_command(*step)
    with pytest.raises(StoreError) as caught, store_errors():
        await client.execute_command(*command)
    assert caught.value.kind == kind


async def test_a_user_without_the_right_or_the_password_is_named(
    store: Store, client: Redis
) -> None:
    await client.execute_command("ACL", "SETUSER", "few", "on", ">p", "~*", "+ping")
    for login, kind in (("few:p", "noperm"), ("few:wrong", "noauth")):
        other = connect(store.url.replace("unix://", f"unix://{login}@"))
        with pytest.raises(StoreError) as caught, store_errors():
            await other.set("a", "b")
        await other.aclose()
        assert caught.value.kind == kind


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    client = connect(f"unix://{tmp_path}/nobody")
    with pytest.raises(StoreError, match="unreachable"), store_errors():
        await client.ping()


@pytest.mark.parametrize("url", ["http://a", "redis+sentinel://a/b", "", "redis"])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be redis://"):
        connect(url)
