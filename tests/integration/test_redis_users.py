"""The users and the configuration that ship with deploy/, on a real server."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agora_sidecar.consumer import Consumer
from agora_sidecar.store import StoreError, connect, store_errors
from tests.integration.processes import Store, get, sidecar, until
from tests.integration.test_receiver_process import notice, send, servers

ROOT = Path(__file__).parents[2]
REDIS = ROOT / "deploy" / "redis"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


class Guarded(Store):
    """A store with users: asked as the operator, given to others by their own address."""

    def url_of(self, user: str) -> str:
        return f"unix://{user}:CHANGE-ME-{user}@{self.folder}/s"

    @property
    def url(self) -> str:
        return self.url_of("operator")


@pytest.fixture(params=servers(), ids=lambda program: Path(program).name)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Guarded]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        users = Path(folder) / "users.acl"
        users.write_text((REDIS / "users.acl").read_text())
        found = Guarded(
            request.param,
            Path(folder),
            *("--aclfile", str(users), "--appendonly", "yes", "--appendfsync", "always"),
        )
        await found.start()
        yield found
        found.end()


ACCOUNT = """
[agora]
app_id = "a"
customer_id = "b"
customer_secret = "c"
base_urls = ["http://127.0.0.1:1"]
[recordings]
silence = "1s"
"""


async def test_both_processes_do_all_their_work_with_the_rights_they_are_given(
    store: Guarded, tmp_path: Path
) -> None:
    urls = store.url_of("receiver"), store.url_of("scheduler")
    listed = 'require_listed = "observe"'
    async with (
        sidecar("receiver", tmp_path / "r", urls[0], receiver=listed, ready="/readyz") as receiver,
        sidecar("scheduler", tmp_path / "s", urls[1], more=ACCOUNT) as scheduler,
    ):
        assert await send(receiver, notice(1)) == (200, "stored")
        assert await send(receiver, notice(1)) == (200, "duplicate")
        assert (await send(receiver, b"no json"))[1] == "quarantined"

        async def taken_in() -> bool:
            found = await store.do("HGETALL", "{ncs}:recording:" + "s" * 32)
            return bool(found)

        await until(taken_in)
        await until(lambda: _trimmed(scheduler.ports.scheduler_ops))
        status = (await get(receiver.ports.receiver_ops, "/status"))[1]
        assert '"reached":"redis-fsync"' in status
        for process in (receiver, scheduler):
            said = process.out.read_text()
            assert "noperm" not in said.lower()
            assert "Traceback" not in said


async def _trimmed(port: int) -> bool:
    metrics = (await get(port, "/metrics"))[1]
    return 'agora_sidecar_job_runs_total{job="trimming",result="ok"}' in metrics


@pytest.mark.parametrize(
    "command",
    [
        ("HSET", "{ncs}:recording:s", "state", "x"),
        ("HSET", "{ncs}:allowlist", "addresses", "[]"),
        ("SET", "{ncs}:lease:recordings", "me:1"),
        ("ZADD", "{ncs}:due", "1", "s"),
        ("DEL", "{ncs}:events"),
        ("XTRIM", "{ncs}:events", "MAXLEN", "0"),
        ("GET", "{ncs}:seen:a:b"),
        ("FLUSHALL",),
        ("KEYS", "*"),
    ],
)
async def test_who_takes_over_the_receiver_reaches_neither_ledger_nor_list_nor_lease(
    store: Guarded, command: tuple[str, ...]
) -> None:
    client = connect(store.url_of("receiver"))
    execute: Any = client.execute_command
    try:
        with pytest.raises(StoreError, match="noperm"), store_errors():
            await execute(*command)
    finally:
        await client.aclose()


async def test_a_reader_of_your_own_has_what_the_kit_needs(store: Guarded) -> None:
    await store.do("XADD", "{ncs}:events", "*", "id", "n-1", "source", "/agora/default")
    async with Consumer(store.url_of("consumer"), group="consumer", name="one") as events:
        async for delivery in events:
            assert delivery.entry.id == "n-1"
            await delivery.acknowledge()
            break
    client = connect(store.url_of("consumer"))
    execute: Any = client.execute_command
    try:
        with pytest.raises(StoreError, match="noperm"), store_errors():
            await execute("XTRIM", "{ncs}:events", "MAXLEN", "0")
    finally:
        await client.aclose()


@pytest.mark.parametrize("program", servers(), ids=lambda program: Path(program).name)
async def test_the_configuration_is_what_the_sidecar_asks_for(program: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(program, Path(folder))
        store.program = program
        store.options = ()
        (Path(folder) / "redis.conf").write_text((REDIS / "redis.conf").read_text())
        store.first = (str(Path(folder) / "redis.conf"),)
        await store.start()
        try:
            async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
                (said,) = receiver.said("receiver.durability")
                assert said["reached"] == "redis-fsync"
                assert not receiver.said("store.warning")
        finally:
            store.end()
