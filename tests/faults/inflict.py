"""How each kind of fault is brought about and taken back."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from random import Random

from agora_sidecar.store import StoreError
from tests.faults.proxy import Proxy
from tests.faults.schedule import KINDS, Fault
from tests.faults.world import World

FILL_EVERY = 0.03
"""Seconds; what others give back is taken at once."""
SLOW = 0.25
"""Seconds that a slow connection takes at most for a piece."""

Act = Callable[[World, Fault], AbstractAsyncContextManager[None]]


async def inflict(world: World, fault: Fault) -> bool:
    """Wait for its time, bring it about, take it back; whether it could be done."""
    await asyncio.sleep(world.began + fault.at - time.monotonic())
    async with AsyncExitStack() as stack:
        # an end that takes long must not be disturbed by what was to follow it
        for lane in KINDS[fault.kind].lanes:
            await stack.enter_async_context(world.lanes[lane])
        try:
            async with ACTS[fault.kind](world, fault):
                world.note(f"{fault.kind}, for {fault.lasts} s")
                await asyncio.sleep(fault.lasts)
            world.note(f"{fault.kind}: over")
        except StoreError as error:  # the store is down or stopped for another fault
            world.note(f"{fault.kind}: could not be done: {error}")
            return False
    return True


@asynccontextmanager
async def _receiver_killed(world: World, _: Fault) -> AsyncIterator[None]:
    await world.receiver.kill()
    yield
    await world.start_receiver()


@asynccontextmanager
async def _receiver_terminated(world: World, _: Fault) -> AsyncIterator[None]:
    await world.end_receiver()
    yield
    await world.start_receiver()


@asynccontextmanager
async def _receiver_stopped(world: World, _: Fault) -> AsyncIterator[None]:
    world.receiver.signal(signal.SIGSTOP)
    yield
    world.receiver.signal(signal.SIGCONT)


@asynccontextmanager
async def _store_killed(world: World, _: Fault) -> AsyncIterator[None]:
    await world.store.kill()
    yield
    await world.start_store()


@asynccontextmanager
async def _store_stopped(world: World, _: Fault) -> AsyncIterator[None]:
    world.store.signal(signal.SIGSTOP)
    yield
    world.store.signal(signal.SIGCONT)


@asynccontextmanager
async def _both_killed(world: World, fault: Fault) -> AsyncIterator[None]:
    await asyncio.gather(world.receiver.kill(), world.store.kill())
    yield
    # who comes back first is chance: a receiver must start without its store
    starts = [world.start_receiver, world.start_store]
    Random(fault.dice).shuffle(starts)
    for start in starts:
        await start()


def _said(*command: str, later: tuple[str, ...] = ()) -> Act:
    @asynccontextmanager
    async def act(world: World, _: Fault) -> AsyncIterator[None]:
        await world.command(*command)
        yield
        if later:
            await world.insist(*later)

    return act


def _proxied(which: Callable[[World], Proxy], pull: Callable[[Proxy], None]) -> Act:
    @asynccontextmanager
    async def act(world: World, _: Fault) -> AsyncIterator[None]:
        pull(which(world))
        yield
        await which(world).mend()

    return act


def _store_proxy(world: World) -> Proxy:
    return world.store_proxy


def _vendor_proxy(world: World) -> Proxy:
    return world.vendor_proxy


def _slow(proxy: Proxy) -> None:
    proxy.delay = SLOW


@asynccontextmanager
async def _disk_full(world: World, _: Fault) -> AsyncIterator[None]:
    async def fill() -> None:
        while True:
            world.disk.fill()
            await asyncio.sleep(FILL_EVERY)

    filling = asyncio.create_task(fill())
    yield
    filling.cancel()
    world.disk.empty()


ACTS: dict[str, Act] = {
    "receiver killed": _receiver_killed,
    "receiver terminated": _receiver_terminated,
    "receiver stopped": _receiver_stopped,
    "store killed": _store_killed,
    "store stopped": _store_stopped,
    "both killed": _both_killed,
    "scripts flushed": _said("SCRIPT", "FLUSH"),
    "clients killed": _said("CLIENT", "KILL", "TYPE", "normal"),
    "store out of memory": _said(
        *("CONFIG", "SET", "maxmemory", "1mb"), later=("CONFIG", "SET", "maxmemory", "0")
    ),
    # a replica of a master that is not there keeps its data
    "store read-only": _said("REPLICAOF", "127.0.0.1", "1", later=("REPLICAOF", "NO", "ONE")),
    "store's connections cut": _proxied(_store_proxy, Proxy.cut),
    "store's connections hang": _proxied(_store_proxy, Proxy.hang),
    "store's connections slow": _proxied(_store_proxy, _slow),
    "store refuses connections": _proxied(_store_proxy, Proxy.refuse),
    "vendor's connections cut": _proxied(_vendor_proxy, Proxy.cut),
    "disk full": _disk_full,
}
