"""What the gateway saw while the store was away."""

import asyncio
from contextlib import suppress

from structlog.testing import capture_logs

from scheduler.recordings.gateway_memory import Memory
from scheduler.recordings.registration import Registration, read_registration
from scheduler.recordings.registry import Registry
from scheduler.recordings.timings import Timings
from tests.fakes.clock import FakeClock
from tests.scheduler.recordings.gateway_house import HouseLedger


def facts(sid: str) -> Registration:
    body = {"appId": "app", "resourceId": "rid", "mode": "mix", "cname": "room", "uid": "1"}
    return read_registration(sid, body, app_ids=["app"], now=0.0)


async def test_no_more_is_kept_than_has_room_and_what_is_lost_is_named() -> None:
    clock, ledger = FakeClock(), HouseLedger()
    registry = Registry(ledger=ledger, timings=Timings(), clock=clock)
    memory = Memory(registry=registry, clock=clock, most=2)
    running = asyncio.create_task(memory.run())
    ledger.away = True

    with capture_logs() as logs:
        for sid in ("a" * 32, "b" * 32, "c" * 32):
            await memory.know(facts(sid))
    ledger.away = False
    async with asyncio.timeout(5):
        while await memory.of("b" * 32) is None:
            clock.advance(1)
            await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert [entry["event"] for entry in logs][-1] == "gateway.note_lost"
    assert logs[-1]["sid"] == "c" * 32
    assert await memory.of("a" * 32) is not None
    assert await memory.of("c" * 32) is None

    await memory.know(facts("c" * 32))  # seen again, as by the next call about it
    assert await memory.of("c" * 32) is not None
