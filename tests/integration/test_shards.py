"""The scheduler over several shards, from the business server's call to the told end."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from agora_sidecar.agora.client import Client
from agora_sidecar.cli.embedded import server_program
from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from agora_sidecar.keys import Shards
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.settings import AgoraSettings, RedisSettings, StreamSettings
from agora_sidecar.store import connect
from scheduler.app import run
from scheduler.settings import (
    AllowlistSettings,
    GatewaySettings,
    RecordingsSettings,
    SchedulerSettings,
)
from tests.agora.request_bodies import LEAST_START
from tests.integration.processes import Store, get, until

pytestmark = pytest.mark.integration

COUNT = 4
SHARDS = Shards("ncs", COUNT)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder), "--appendonly", "yes")
        await store.start()
        yield store
        store.end()


@pytest.fixture
async def api_url() -> AsyncIterator[str]:
    emulator = Emulator(EmulatorOptions(speed=20.0))
    yield await emulator.start()
    await emulator.stop()


@pytest.fixture
async def client(api_url: str) -> AsyncIterator[Client]:
    client = Client(
        base_urls=[api_url],
        customer_id="emulator-customer",
        customer_secret="emulator-customer-secret",
        clock=SystemClock(),
        requests_per_second=50,
    )
    yield client
    await client.close()


@asynccontextmanager
async def scheduler(
    store: Store, api_url: str, folder: Path, *, shards: int = COUNT
) -> AsyncIterator[dict[str, int]]:
    """A scheduler in this process until the block ends; its ports by name."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run(
            stop,
            data_dir=folder,
            redis=RedisSettings(url=store.url),
            stream=StreamSettings(shards=shards),
            agora=AgoraSettings(
                app_id="emulator-app",
                customer_id="emulator-customer",
                customer_secret="emulator-customer-secret",
                base_urls=(api_url,),
                requests_per_second=50,
            ),
            allowlist=AllowlistSettings(),
            gateway=GatewaySettings(listen="127.0.0.1:0"),
            recordings=RecordingsSettings(
                silence="500ms", confirm_after="200ms", end_after_404="800ms", upload_wait="1s"
            ),
            settings=SchedulerSettings(ops_listen="127.0.0.1:0"),
            on_ready=ready.set_result,
        )
    )
    try:
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        yield ready.result()
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def start(client: Client, gateway: int, cname: str) -> str:
    names: dict[str, Any] = {"cname": cname, "uid": "900001"}
    rid = await client.acquire("emulator-app", **names, client_request={})
    sid = await client.start(
        "emulator-app", resource_id=rid, mode="mix", **names, client_request=LEAST_START
    )
    url = f"http://127.0.0.1:{gateway}/recordings/{sid}"
    async with (
        aiohttp.ClientSession() as http,
        http.put(url, json={"resourceId": rid, "mode": "mix", **names}) as put,
    ):
        assert put.status == 201
    return sid


async def delete(gateway: int, sid: str) -> None:
    url = f"http://127.0.0.1:{gateway}/recordings/{sid}"
    async with aiohttp.ClientSession() as http, http.delete(url) as answer:
        assert answer.status == 202


async def ends(store: Store, *, shards: Shards = SHARDS) -> dict[str, list[str]]:
    """The sids whose end was told, by stream."""
    client = connect(store.url)
    found: dict[str, list[str]] = {}
    for keys in shards.all:
        for _, entry in await client.xrange(keys.events):
            if entry[b"type"].endswith(b".closed"):
                found.setdefault(keys.events, []).append(entry[b"subject"].decode())
    await client.aclose()
    return found


async def status(ops: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await get(ops, "/status"))[1])["recordings"]
    return found


async def test_recordings_of_all_shards_are_known_asked_stopped_and_told(
    store: Store, api_url: str, client: Client, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with scheduler(store, api_url, tmp_path) as ports:
            sids: list[str] = []
            while len({SHARDS.of(sid).events for sid in sids}) < COUNT:
                assert len(sids) < 60
                sids.append(await start(client, ports["gateway"], f"room-{len(sids)}"))

            async def all_known() -> bool:
                open_ = (await status(ports["ops"]))["open"]
                return sum(open_.values()) == len(sids)

            await until(all_known)
            shown = await status(ports["ops"])
            assert (shown["leading"], shown["shards"], shown["shardsLed"]) == (True, COUNT, COUNT)
            metrics = (await get(ports["ops"], "/metrics"))[1]
            assert "agora_sidecar_recordings_leading 1.0" in metrics
            assert 'agora_sidecar_job_runs_total{job="recordings-3",result="ok"}' in metrics
            listed = json.loads((await get(ports["gateway"], "/recordings"))[1])["recordings"]
            assert {one["sid"] for one in listed} == set(sids)
            began = [one["startedAt"] for one in listed]
            assert began == sorted(began, reverse=True)
            one = json.loads((await get(ports["gateway"], f"/recordings/{sids[0]}"))[1])
            assert one["sid"] == sids[0]

            for sid in sids:
                await delete(ports["gateway"], sid)

            async def all_told() -> bool:
                return sum(map(len, (await ends(store)).values())) >= len(sids)

            await until(all_told, seconds=30)
            await until(lambda: no_more_open(ports["ops"]))
    told = await ends(store)
    assert set(told) == {keys.events for keys in SHARDS.all}
    assert sorted(sid for found in told.values() for sid in found) == sorted(sids)
    assert all(SHARDS.of(sid).events == stream for stream, found in told.items() for sid in found)
    assert [entry for entry in logs if entry["event"] == "recording.check_failed"] == []


async def no_more_open(ops: int) -> bool:
    return sum((await status(ops))["open"].values()) == 0


async def test_who_comes_after_leads_in_every_shard_at_once(
    store: Store, api_url: str, client: Client, tmp_path: Path
) -> None:
    async with scheduler(store, api_url, tmp_path / "one") as first:
        await until(lambda: led(first, COUNT))
        sids = [await start(client, first["gateway"], f"room-{number}") for number in range(6)]
        async with scheduler(store, api_url, tmp_path / "two") as second:
            shown = await status(second["ops"])
            assert (shown["leading"], shown["shardsLed"]) == (False, 0)
            one = json.loads((await get(second["gateway"], f"/recordings/{sids[3]}"))[1])
            assert one["sid"] == sids[3]
    async with scheduler(store, api_url, tmp_path / "three") as third:
        await until(lambda: led(third, COUNT))

        async def adopted() -> bool:
            return sum((await status(third["ops"]))["open"].values()) == len(sids)

        await until(adopted)


async def led(ports: dict[str, int], count: int) -> bool:
    return (await status(ports["ops"])).get("shardsLed") == count


async def test_a_store_that_comes_back_empty_gets_every_shard_back(
    store: Store, api_url: str, client: Client, tmp_path: Path
) -> None:
    async with scheduler(store, api_url, tmp_path) as ports:
        await until(lambda: led(ports, COUNT))
        sids = [await start(client, ports["gateway"], f"room-{number}") for number in range(8)]
        await store.do("FLUSHALL")

        async def back() -> bool:
            keys = [SHARDS.of(sid).recording(sid) for sid in sids]
            return bool(await store.do("EXISTS", *keys) == len(sids))

        await until(back)
        listed = json.loads((await get(ports["gateway"], "/recordings"))[1])["recordings"]
        assert {one["sid"] for one in listed} == set(sids)


async def test_with_one_shard_nothing_tells_of_shards(
    store: Store, api_url: str, client: Client, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        async with scheduler(store, api_url, tmp_path, shards=1) as ports:
            sid = await start(client, ports["gateway"], "room")
            await until(lambda: exists(store, f"{{ncs}}:recording:{sid}"))

            async def leading() -> bool:
                return bool((await status(ports["ops"]))["leading"])

            await until(leading)
            assert not {"shards", "shardsLed"} & set(await status(ports["ops"]))
            metrics = (await get(ports["ops"], "/metrics"))[1]
            assert 'agora_sidecar_job_runs_total{job="recordings",result="ok"}' in metrics
    assert await exists(store, "{ncs}:lease:recordings:fence")
    assert [entry for entry in logs if "shard" in entry] == []


async def exists(store: Store, key: str) -> bool:
    return bool(await store.do("EXISTS", key))
