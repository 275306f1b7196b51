"""What a store is asked and how its refusals are named, against every real server there is."""

import asyncio
import tempfile
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agora_sidecar.store import Redis, Script, StoreError, connect, durability, store_errors
from agora_sidecar.store_address import read_address
from agora_sidecar.store_inspection import judge
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


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://a", "must be redis://"),
        ("", "must be redis://"),
        ("redis", "must be redis://"),
        ("redis://[::1", "must be redis://"),
        ("redis://a,b", "must name one server"),
        ("redis://", "must say where Redis is"),
        ("redis://a/x", "must end in the database's number"),
        ("redis://a:0", "a port from 1 to 65535"),
        ("redis://a:65536", "a port from 1 to 65535"),
        ("redis://a?socket_timeout=9", "must have no parameters but"),
        ("redis://a?db=x", "must have a number as its parameter db"),
        ("unix://", "must name the server's socket"),
        ("redis+sentinel://a:1,b:2", "must end in the master's name"),
        ("redis+sentinel://a:1,b:2/m/x", "must end in the master's name"),
        ("redis+sentinel://a,,b/m", "must name the Sentinels"),
        ("redis+sentinel://a:x/m", "a port from 1 to 65535"),
        ("redis+cluster://a:1/2", "a Cluster has no databases but 0"),
        ("redis+cluster://a:1,:2", "must name nodes of the Cluster"),
        ("redis+cluster://a?db=0", "must have no parameters but"),
    ],
)
def test_an_address_that_says_no_place_is_refused_with_the_rule(url: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        connect(url)


@pytest.mark.parametrize("sign", "/?#[")
@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster"])
def test_a_refused_address_shows_nothing_of_the_password(scheme: str, sign: str) -> None:
    with pytest.raises(ValueError, match="in percent, such as %40") as caught:
        connect(f"{scheme}://me:open{sign}sesame@h1:1/m")
    shown = "".join(traceback.format_exception(caught.value))
    assert "open" not in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert "During handling" not in shown


def test_an_address_hides_its_passwords_where_it_is_printed() -> None:
    address = read_address("redis+sentinel://u:sesame@h1,h2:7/mymaster/3?sentinel_password=salt")
    assert (address.hosts, address.master) == ((("h1", 26379), ("h2", 7)), "mymaster")
    assert address.url == "redis://u:sesame@h1:26379/3"
    assert address.sentinel_password == "salt"
    assert "sesame" not in repr(address)
    assert "salt" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "rediss+sentinel://u:p@h1/m?ssl_cert_reqs=none&sentinel_username=s",
        "rediss+cluster://u:p@h1,[::1]:7?ssl_check_hostname=no&client_name=me",
    ],
)
async def test_tls_is_possible_to_several_servers(url: str) -> None:
    await connect(url).aclose()


async def test_what_a_store_is_shows_in_its_facts(client: Redis) -> None:
    found = await durability(client)
    assert not found.replicated
    assert found.warnings == ()
    assert found.identity == found.facts["run_id"]
    assert found.facts["connected_slaves"] == "0"
    assert int(found.facts["used_memory"]) > 0
    assert int(found.facts["rdb_last_save_time"]) > 0
    assert found.facts["scripts"] == "yes"
    assert found.facts["min-replicas-to-write"] == "0"
    assert (found.facts["waitaof"] == "yes") == bool(await knows(client, "WAITAOF"))


async def knows(client: Redis, command: str) -> bool:
    told = await client.execute_command("COMMAND INFO", command)
    return any(told.values()) if isinstance(told, dict) else any(told)


async def test_eviction_and_being_a_replica_are_warnings(client: Redis) -> None:
    await client.config_set("maxmemory", "100mb")
    assert (await durability(client)).warnings == ()
    await client.config_set("maxmemory-policy", "volatile-ttl")
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    evicts, replica = (await durability(client)).warnings
    assert "volatile-ttl: under memory pressure the store drops marks" in evicts
    assert "replica: it refuses every write" in replica


@pytest.mark.parametrize(
    ("one", "other", "level", "why"),
    [
        ("1", "1", "redis-fsync", ""),
        ("1", "0", "redis-memory", "b: appendonly is off"),
        ("0", "0", "redis-memory", "appendonly is off"),
    ],
)
def test_several_primaries_are_as_safe_as_the_worst(
    one: str, other: str, level: str, why: str
) -> None:
    facts = {"appendfsync": "always", "role": "master"}
    found = judge(
        {
            "a": facts | {"aof_enabled": one, "run_id": "1"},
            "b": facts | {"aof_enabled": other, "run_id": "2"},
        },
        replicated=True,
    )
    assert found.level == level
    assert found.why.startswith(why)
    assert found.identity == "1+2"
    assert found.facts["primaries"] == "2"
    assert found.replicated


async def test_a_script_comes_back_when_the_server_lost_it(client: Redis) -> None:
    script = Script(client, "return redis.call('INCR', KEYS[1]) + ARGV[1]")
    assert await script(keys=["a"], args=[10]) == 11
    await client.script_flush()
    assert await script(keys=["a"], args=[10]) == 12
    with pytest.raises(StoreError, match="wrongtype"):
        await Script(client, "return redis.call('LPUSH', KEYS[1], 1)")(keys=["a"], args=[])


def test_a_connection_cut_under_uvloop_is_a_store_that_is_unreachable() -> None:
    words = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
    with pytest.raises(StoreError, match="unreachable"), store_errors():
        raise RuntimeError(words)
    with pytest.raises(RuntimeError, match="a bug"), store_errors():
        raise RuntimeError("a bug")
