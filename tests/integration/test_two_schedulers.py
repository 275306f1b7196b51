"""Two schedulers and one lease: the leader is stopped in the middle of its calls, and goes on later."""

import json
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agora_sidecar.emulator.emulator import Emulator
from tests.integration.processes import Sidecar, Store, get, sidecar, until
from tests.integration.test_scheduler_process import Business, emulator, more, store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

__all__ = ["emulator", "store"]  # fixtures


async def status(scheduler: Sidecar) -> dict[str, Any]:
    _, text = await get(scheduler.ports.scheduler_ops, "/status")
    found: dict[str, Any] = json.loads(text)["recordings"]
    return found


def leads(scheduler: Sidecar) -> Callable[[], Any]:
    async def leading() -> bool:
        return bool((await status(scheduler))["leading"])

    return leading


def stops(folder: Path) -> list[str]:
    """The sids whose stop a process began to call, by its own audit."""
    with suppress(FileNotFoundError):
        lines = (folder / "data/recordings/stops.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [record["sid"] for record in records if record["result"] == "calling"]
    return []


async def findings(store: Store) -> Counter[tuple[str, str]]:
    return Counter(
        (entry[b"subject"].decode(), entry[b"type"].decode().rpartition(".")[2])
        for entry in await store.entries()
        if entry[b"origin"] == b"reconciler"
    )


@pytest.fixture
async def pair(
    store: Store, emulator: Emulator, tmp_path: Path
) -> AsyncIterator[tuple[Sidecar, Sidecar, Business]]:
    """Two schedulers, the first of which leads, and a business server that talks to it."""
    api_url = await emulator.start()
    one, two = tmp_path / "one", tmp_path / "two"
    ready = "/readyz"
    async with sidecar("scheduler", one, store.url, more=more(api_url, one), ready=ready) as first:
        await until(leads(first))
        async with sidecar(
            "scheduler", two, store.url, more=more(api_url, two), ready=ready
        ) as second:
            business = Business(api_url, first)
            yield first, second, business
            await business.client.close()
            first.process.send_signal(signal.SIGCONT)


@pytest.mark.slow
async def test_a_leader_that_was_paused_past_its_lease_tells_nothing_twice_and_stops_nothing_unowed(
    pair: tuple[Sidecar, Sidecar, Business], store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    first, second, business = pair
    owed = [await business.start(f"owed{n}") for n in range(4)]
    silent = [await business.start(f"silent{n}") for n in range(4)]
    running = [await business.start(f"running{n}") for n in range(2)]
    await until(lambda: len(first.said("recording.started")) == 10)
    emulator.faults = replace(emulator.faults, slow=1.0, slow_seconds=30.0)  # 1.5 s
    for n, sid in enumerate(owed):
        await business.delete(sid)
        emulator.set_publisher(f"silent{n}", present=False)
    await until(lambda: emulator.journal.calls["stop"] > 0)

    first.process.send_signal(signal.SIGSTOP)  # in the middle of its calls
    await until(leads(second), seconds=40)
    emulator.faults = replace(emulator.faults, slow=0.0)

    async def settled() -> bool:
        told = await findings(store)
        return all(told[sid, "closed"] for sid in owed + silent)

    await until(settled, seconds=60)
    first.process.send_signal(signal.SIGCONT)
    await until(lambda: first.said("recording.fenced"))
    await until(leads(second))
    for sid in running:
        emulator.set_publisher(emulator.journal.recordings[sid].cname, present=False)
    await until(lambda: closed_all(store, running), seconds=60)

    told = await findings(store)
    assert {key: n for key, n in told.items() if n > 1} == {}
    called = Counter(stops(tmp_path / "one")) + Counter(stops(tmp_path / "two"))
    assert set(called) == set(owed)
    assert max(called.values()) <= 2  # the one that was under way, and the one that counted
    assert emulator.journal.calls["stop"] <= sum(called.values())
    for process in (first, second):
        assert "Traceback" not in process.out.read_text()


async def closed_all(store: Store, sids: list[str]) -> bool:
    told = await findings(store)
    return all(told[sid, "closed"] for sid in sids)


async def test_registrations_survive_a_store_that_was_emptied_while_no_scheduler_ran(
    store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    api_url = await emulator.start()
    settings = more(api_url, tmp_path)
    async with sidecar("scheduler", tmp_path, store.url, more=settings, ready="/readyz") as before:
        business = Business(api_url, before)
        kept = await business.start("kept")
        owed = await business.start("owed")
        await until(lambda: len(before.said("recording.started")) == 2)
        await business.client.close()
        assert await before.stop() == 0
    emulator.set_publisher("kept", present=False)  # it ends, and nobody hears of it
    store.send(signal.SIGKILL)
    shutil.rmtree(store.folder / "appendonlydir")
    await store.start()

    async with sidecar("scheduler", tmp_path, store.url, more=settings, ready="/readyz") as after:
        await until(lambda: after.said("recording.restored_from_disk"))
        await until(lambda: closed_all(store, [kept]), seconds=40)
        shown = json.loads((await get(after.ports.gateway, f"/recordings/{owed}"))[1])
        assert (shown["registered"], shown["wanted"]) == (True, "recording")
    told = await findings(store)
    assert told[kept, "closed"] == 1
    assert told[owed, "closed"] == 0
    assert (kept, "started") not in told  # told before the store was lost
