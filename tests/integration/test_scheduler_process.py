"""The scheduler as it is deployed, between the emulator, a real store and a file for a proxy."""

import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agora_sidecar.agora.client import Client
from agora_sidecar.cli.embedded import server_program
from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from agora_sidecar.process.clock import SystemClock
from tests.agora.request_bodies import LEAST_START
from tests.integration.processes import Sidecar, Store, get, sidecar, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

SOURCES = tuple(f"127.0.0.{number}" for number in range(10, 14))


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder), "--appendonly", "yes")
        await store.start()
        yield store
        store.end()


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    emulator = Emulator(EmulatorOptions(speed=20.0, sources=SOURCES, published=2))
    yield emulator
    await emulator.stop()


def more(api_url: str, folder: Path, *, secret: str = "emulator-customer-secret") -> str:
    return f"""
[agora]
app_id = "emulator-app"
customer_id = "emulator-customer"
customer_secret = "{secret}"
base_urls = ["{api_url}"]
requests_per_second = 50
[allowlist]
poll_interval = "300ms"
grace = "1s"
reserved = "accept"
[[allowlist.targets]]
kind = "file"
path = "{folder}/allow.conf"
format = "nginx"
[recordings]
silence = "500ms"
confirm_after = "200ms"
end_after_404 = "800ms"
upload_wait = "1s"
"""


def admitted(folder: Path) -> set[str]:
    file = folder / "allow.conf"
    if not file.exists():
        return set()
    lines = file.read_text().splitlines()
    assert lines[-1] == "deny all;"
    return {line[6:-1] for line in lines if line.startswith("allow ")}


async def test_the_list_follows_the_vendor_and_nothing_odd(
    store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    settings = more(await emulator.start(), tmp_path)
    first, second = set(SOURCES[:2]), set(SOURCES[2:])
    async with sidecar("scheduler", tmp_path, store.url, more=settings) as scheduler:
        await until(lambda: admitted(tmp_path) == first)
        await emulator.rotate_addresses()
        await until(lambda: admitted(tmp_path) == first | second)
        await until(lambda: admitted(tmp_path) == second)
        for odd in ("empty", "html", "thousands"):
            emulator.faults = replace(emulator.faults, addresses=odd)
            before = len(scheduler.said("allowlist.poll_failed"))
            await until(lambda: len(scheduler.said("allowlist.poll_failed")) > before)  # noqa: B023
        assert admitted(tmp_path) == second
        status = json.loads((await get(scheduler.ports.scheduler_ops, "/status"))[1])
        assert {item["address"] for item in status["allowlist"]["addresses"]} == second
        assert await scheduler.stop() == 0
    assert admitted(tmp_path) == second


async def test_the_last_known_list_is_applied_with_nobody_to_ask(
    store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    settings = more(await emulator.start(), tmp_path)
    async with sidecar("scheduler", tmp_path, store.url, more=settings) as scheduler:
        await until(lambda: admitted(tmp_path) == set(SOURCES[:2]))
        await scheduler.stop()
    await emulator.stop()
    (tmp_path / "allow.conf").unlink()
    async with sidecar("scheduler", tmp_path, store.url, more=settings) as scheduler:
        await until(lambda: admitted(tmp_path) == set(SOURCES[:2]))
        await until(lambda: scheduler.said("allowlist.poll_failed"))


class Business:
    """Starts recordings and makes them known."""

    def __init__(self, api_url: str, scheduler: Sidecar) -> None:
        self.url = f"http://127.0.0.1:{scheduler.ports.gateway}/recordings"
        self.client = Client(
            base_urls=[api_url],
            customer_id="emulator-customer",
            customer_secret="emulator-customer-secret",
            clock=SystemClock(),
            requests_per_second=50,
        )

    async def start(self, cname: str) -> str:
        names: dict[str, Any] = {"cname": cname, "uid": "900001"}
        rid = await self.client.acquire("emulator-app", **names, client_request={})
        sid = await self.client.start(
            "emulator-app",
            resource_id=rid,
            mode="mix",
            **names,
            client_request=LEAST_START,
        )
        async with (
            aiohttp.ClientSession() as http,
            http.put(f"{self.url}/{sid}", json={"resourceId": rid, "mode": "mix", **names}) as put,
        ):
            assert put.status == 201
        return sid

    async def delete(self, sid: str) -> None:
        async with aiohttp.ClientSession() as http, http.delete(f"{self.url}/{sid}") as answer:
            assert answer.status == 202


async def closed(store: Store, sid: str) -> list[dict[str, Any]]:
    found = await store.entries()
    return [
        json.loads(entry[b"data"])
        for entry in found
        if entry[b"type"].endswith(b".closed") and entry[b"subject"] == sid.encode()
    ]


async def test_ends_that_nobody_told_are_found_out_and_owed_stops_are_made(
    store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    """No callback arrives at all, and the store is lost and comes back empty in between."""
    api_url = await emulator.start()
    settings = more(api_url, tmp_path)
    async with sidecar("scheduler", tmp_path, store.url, more=settings, ready="/readyz") as running:
        business = Business(api_url, running)
        owed = await business.start("owed")
        await business.delete(owed)
        await until(lambda: closed(store, owed))
        assert running.said("recording.stop_called")[0]["reason"] == "requested"

        idle = await business.start("idle")
        await until(lambda: running.said("recording.started"))
        store.send(signal.SIGKILL)
        shutil.rmtree(store.folder / "appendonlydir")
        await store.start()
        emulator.set_publisher("idle", present=False)  # so it ends by itself, unheard
        (end,) = await until(lambda: closed(store, idle), seconds=30)
        assert (end["reason"], end["toldBy"]) == ("not_found", "query")
        await business.client.close()
        assert await running.stop() == 0
    assert len(await closed(store, idle)) == 1
    assert "Traceback" not in running.out.read_text()


async def test_wrong_credentials_are_clear_and_end_nothing(
    store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    settings = more(await emulator.start(), tmp_path, secret="not-the-right-one")
    async with sidecar("scheduler", tmp_path, store.url, more=settings) as scheduler:
        (said, *_) = await until(lambda: scheduler.said("allowlist.poll_failed"))
        assert "401" in said["detail"]

        async def told() -> dict[str, Any] | None:
            ready = json.loads((await get(scheduler.ports.scheduler_ops, "/readyz"))[1])
            return ready if "address list" in ready["dependencies"] else None

        ready = await until(told)
        assert "failed" in ready["dependencies"]["address list"]["why"]
        assert ready["ready"] is True
    assert "not-the-right-one" not in scheduler.out.read_text()
    assert admitted(tmp_path) == set()
