"""The users and the configuration that are shipped for the store, loaded into a real server."""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from agora_sidecar.store import StoreError, connect, store_errors
from tests.integration.processes import Store, get, sidecar, until
from tests.integration.test_receiver_process import each_server, notice, send
from tests.integration.test_scheduler_process import SOURCES, Business, closed, more

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

SHIPPED = Path(__file__).parents[2] / "deploy" / "redis"


class Guarded(Store):
    """A server with the shipped configuration; each user's password is its name."""

    def __init__(self, program: str, folder: Path) -> None:
        users = (SHIPPED / "users.acl").read_text().splitlines()
        for name in ("receiver", "scheduler"):
            users = [
                line.replace(f"user {name} on resetpass", f"user {name} on >{name}")
                for line in users
            ]
        users.append("user admin on >admin ~* &* +@all")
        (folder / "users.acl").write_text("\n".join(users) + "\n")
        conf = (SHIPPED / "redis.conf").read_text()
        (folder / "redis.conf").write_text(
            conf.replace("include users.acl", f"include {folder}/users.acl")
        )
        super().__init__(program, folder, "--include", str(folder / "redis.conf"))

    def url_of(self, user: str) -> str:
        return f"unix://{self.folder}/s?username={user}&password={user}"

    @property
    def url(self) -> str:
        return self.url_of("admin")

    async def refuses(self, user: str, *command: str) -> str:
        """The kind of error with which this user's command is refused; empty if it is not."""
        client = connect(self.url_of(user))
        execute: Any = client.execute_command
        try:
            with store_errors():
                await execute(*command)
        except StoreError as error:
            return error.kind
        finally:
            await client.aclose()
        return ""


@pytest.fixture(params=each_server())
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Guarded]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Guarded(request.param, Path(folder))
        try:
            await store.start()
            yield store
        finally:
            store.end()


async def test_both_processes_do_all_their_work_with_their_users(
    store: Guarded, tmp_path: Path
) -> None:
    emulator = Emulator(EmulatorOptions(speed=20.0, sources=SOURCES, published=2))
    api_url = await emulator.start()
    settings = more(api_url, tmp_path)
    try:
        async with (
            sidecar(
                "scheduler", tmp_path, store.url_of("scheduler"), more=settings, ready="/readyz"
            ) as scheduler,
            sidecar(
                "receiver",
                tmp_path,
                store.url_of("receiver"),
                receiver='require_listed = "observe"',
                ready="/readyz",
            ) as receiver,
        ):
            await until(lambda: receiver.said("addresses.changed"))
            assert await send(receiver, notice(1)) == (200, "stored")
            assert await send(receiver, notice(1)) == (200, "duplicate")
            await until(lambda: store.do("XLEN", "{ncs}:hints"))
            await until(lambda: scheduler.said("allowlist.hint"))
            business = Business(api_url, scheduler)
            sid = await business.start("room")
            await business.delete(sid)
            await until(lambda: closed(store, sid))
            await business.client.close()
            status = json.loads((await get(receiver.ports.receiver_ops, "/status"))[1])
            assert status["durability"]["level"] == "redis-fsync"
            for process in (receiver, scheduler):
                assert await process.stop() == 0
        for process in (receiver, scheduler):
            said = process.out.read_text()
            assert "noperm" not in said.lower()
            assert "Traceback" not in said
        assert set(await denied(store)) <= {"client|setinfo"}
    finally:
        await emulator.stop()


async def denied(store: Guarded) -> list[str]:
    """What the server refused to any user."""
    found = []
    for row in await store.do("ACL LOG"):
        pairs = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
        plain = {_text(name): value for name, value in pairs.items()}
        found.append(_text(plain["object"]))
    return found


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize(
    "command",
    [
        ("HSET", "{ncs}:recording:a", "state", "closed"),
        ("HSET", "{ncs}:allowlist", "addresses", "[]"),
        ("SET", "{ncs}:lease:recordings", "me:1"),
        ("SET", "{ncs}:recording:a", "x"),
        ("SET", "{ncs}:allowlist", "x"),
        ("EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", "{ncs}:lease:recordings"),
        ("EVAL", "return redis.call('SET', '{ncs}:allowlist', 'x')", "0"),
        ("XADD", "{ncs}:due", "*", "a", "b"),
        ("FLUSHALL",),
        ("CONFIG", "SET", "appendonly", "no"),
        ("XTRIM", "{ncs}:events", "MAXLEN", "0"),
    ],
)
async def test_the_receivers_user_cannot_write_what_is_not_its_own(
    store: Guarded, command: tuple[str, ...]
) -> None:
    kind = await store.refuses("receiver", *command)
    # Valkey says of a script that is refused half-way: "ACL failure in script"
    assert kind in {"noperm", "acl", "err", "refused"}
    for key in ("{ncs}:recording:a", "{ncs}:allowlist", "{ncs}:lease:recordings", "{ncs}:due"):
        assert await store.do("EXISTS", key) == 0


async def test_nobody_logs_in_with_what_is_shipped(store: Guarded) -> None:
    lines = (SHIPPED / "users.acl").read_text().splitlines()
    users = [line.split() for line in lines if line.startswith("user ")]
    assert [words[1] for words in users] == ["default", "receiver", "scheduler"]
    assert all("resetpass" in words for words in users[1:])
    assert not [w for words in users for w in words if w[0] in "#>" or w in {"nopass", "+@all"}]
    assert await store.refuses("nobody", "PING") == "noauth"
    assert await store.refuses("default", "PING") == "noauth"


async def test_a_server_with_the_shipped_configuration_syncs_before_it_replies(
    store: Guarded,
) -> None:
    found = await store.do("CONFIG GET", "*app*")
    said = {_text(name): _text(value) for name, value in found.items()}
    assert said["appendonly"] == "yes"
    assert said["appendfsync"] == "always"
    assert said["no-appendfsync-on-rewrite"] == "no"
    assert "noeviction" in str(await store.do("CONFIG GET", "maxmemory-policy"))
