"""The scheduler's composition root: joins the parts, starts and ends them in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from agora_sidecar import __version__
from agora_sidecar.agora.client import Client
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.process.clock import Clock, SystemClock
from agora_sidecar.process.health import Health
from agora_sidecar.process.ops import ops_application
from agora_sidecar.process.page.board import Board, Panel
from agora_sidecar.process.quantities import Listen
from agora_sidecar.process.serving import background, listening
from agora_sidecar.settings import AgoraSettings, RedisSettings, StreamSettings
from agora_sidecar.store import Redis, connect
from agora_sidecar.watch import StoreWatch, first_look
from scheduler.allowlist.sync import Sync
from scheduler.assembly import agora_client, allowlist_sync, publisher
from scheduler.business import business_application
from scheduler.leadership import Lease
from scheduler.loops import Loops
from scheduler.panel import WORTH_READING, recording_of, script
from scheduler.recordings.gateway_memory import Memory
from scheduler.settings import (
    AllowlistSettings,
    GatewaySettings,
    RecordingsSettings,
    SchedulerSettings,
)
from scheduler.timetable import Timetable, TimetableMetrics
from scheduler.trimming.metrics import TrimMetrics
from scheduler.trimming.trimmer import INTERVAL, Trimmer
from scheduler.vigil import Vigil

log = structlog.get_logger()

STOP_WITHIN = 10.0
"""Seconds for what is under way at the end: a call to Agora, a firewall's change."""
CONNECTIONS = 32
"""To one server of the store, besides those that shards need."""
LEASE = 60.0
"""Seconds that who writes to shared lists may be silent before another one does."""

Ready = Callable[[dict[str, int]], None]
"""Is told the ports, by name, once everything listens."""


async def run(
    stop: asyncio.Event,
    *,
    data_dir: Path,
    redis: RedisSettings,
    agora: AgoraSettings,
    allowlist: AllowlistSettings,
    gateway: GatewaySettings,
    recordings: RecordingsSettings,
    settings: SchedulerSettings,
    stream: StreamSettings,
    clock: Clock | None = None,
    board: Board | None = None,
    on_ready: Ready = lambda _: None,
) -> None:
    """Run both loops until `stop`, then finish what is under way. `board`: the status page's.

    Raises:
        ListenError: an address cannot be listened on.
    """
    async with AsyncExitStack() as stack:
        ground = _Ground(redis, stream, agora, clock=clock or SystemClock())
        stack.push_async_callback(ground.close)
        sync = _sync(ground, allowlist, data_dir)
        loops = _loops(ground, recordings, data_dir=data_dir, app_id=agora.app_id)
        # The firewall first: it must not wait for anybody
        await sync.apply_last_known_good(which=lambda target: not target.shared)
        await first_look(ground.watch)
        ops = _ops(ground, settings, sync, loops, board=board)
        ports = {"ops": await stack.enter_async_context(ops)}
        if gateway.listen is not None:
            door = _business_door(ground, loops, gateway, app_id=agora.app_id)
            ports["gateway"] = await stack.enter_async_context(door)
        await stack.enter_async_context(background(ground.watch.run(), *loops.intakes(stop)))
        # After the jobs have ended: one that runs needs its lease, or takes it again
        stack.push_async_callback(_step_down, sync, loops)
        jobs = _timetable(ground, allowlist, sync, loops, data_dir=data_dir, stop=stop)
        await stack.enter_async_context(jobs)
        ground.health.report("listening")
        log.info("scheduler.started", version=__version__, **ports)
        on_ready(ports)
        await stop.wait()
        log.info("scheduler.stopping")
    log.info("scheduler.stopped")


async def _step_down(sync: Sync, loops: Loops) -> None:
    await loops.release()
    await sync.applier.step_down()


class _Ground:
    """What both loops stand on."""

    def __init__(
        self, redis: RedisSettings, stream: StreamSettings, agora: AgoraSettings, *, clock: Clock
    ) -> None:
        self.clock = clock
        self.registry = CollectorRegistry()
        self.health = Health(clock)
        self.health.expect("listening")
        self.stream = stream
        self.keys = Keys(redis.prefix)
        self.shards = Shards(redis.prefix, stream.shards)
        # each shard's intake waits on a connection of its own
        connections = CONNECTIONS + 2 * stream.shards
        self.store: Redis = connect(redis.url.get_secret_value(), connections=connections)
        self.client: Client = agora_client(agora, clock=clock)
        self.watch = StoreWatch(self.store, health=self.health, clock=clock)

    async def close(self) -> None:
        """Close every connection."""
        await self.client.close()
        await self.store.aclose()


def _loops(ground: _Ground, settings: RecordingsSettings, *, data_dir: Path, app_id: str) -> Loops:
    return Loops(
        settings,
        store=ground.store,
        shards=ground.shards,
        client=ground.client,
        clock=ground.clock,
        registry=ground.registry,
        data_dir=data_dir,
        app_ids=[app_id],
        rate=lambda: ground.client.budget().left_per_second,
    )


def _sync(ground: _Ground, settings: AllowlistSettings, data_dir: Path) -> Sync:
    return allowlist_sync(
        settings,
        data_dir=data_dir,
        client=ground.client,
        clock=ground.clock,
        registry=ground.registry,
        publish=publisher(ground.store, ground.keys),
        leads=Lease(ground.store, ground.keys, "allowlist", length=LEASE, clock=ground.clock),
    )


@asynccontextmanager
async def _timetable(
    ground: _Ground,
    settings: AllowlistSettings,
    sync: Sync,
    loops: Loops,
    *,
    data_dir: Path,
    stop: asyncio.Event,
) -> AsyncIterator[None]:
    timetable = Timetable(metrics=TimetableMetrics(ground.registry))
    vigil = Vigil(
        sync,
        settings,
        store=ground.store,
        keys=ground.keys,
        folder=data_dir / "allowlist",
        timetable=timetable,
        health=ground.health,
        clock=ground.clock,
    )
    vigil.add_jobs()
    for name, reconcile in loops.jobs():
        timetable.add(name, reconcile, interval=loops.timings.poll)
    timetable.add("trimming", _trimmer(ground).run_once, interval=INTERVAL)
    timetable.start()
    try:
        async with vigil.watching(stop):
            yield
    finally:
        await timetable.close(within=STOP_WITHIN)


def _trimmer(ground: _Ground) -> Trimmer:
    return Trimmer(
        ground.store,
        ground.shards.all,
        quarantine=ground.keys.quarantine,
        retention=ground.stream.retention,
        max_entries=ground.stream.max_entries,
        protected=ground.stream.protect_groups,
        clock=ground.clock,
        metrics=TrimMetrics(ground.registry),
    )


@asynccontextmanager
async def _listening(
    app: web.Application, name: str, listen: Listen, *, within: float = 2.0
) -> AsyncIterator[int]:
    # a caller that leaves cancels nothing: what its call began must become known
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=within, handler_cancellation=False
    )
    async with listening(runner, name=name, host=listen.host, port=listen.port) as port:
        yield port


@asynccontextmanager
async def _business_door(
    ground: _Ground, loops: Loops, settings: GatewaySettings, *, app_id: str
) -> AsyncIterator[int]:
    memory = Memory(registry=loops.registry, clock=ground.clock)
    application = business_application(
        settings,
        registry=loops.registry,
        memory=memory,
        client=ground.client,
        app_ids=[app_id],
        clock=ground.clock,
        metrics=ground.registry,
    )
    assert settings.listen is not None  # noqa: S101 - or nobody comes here
    listening = _listening(application, "gateway.listen", settings.listen, within=STOP_WITHIN)
    async with background(memory.run()), listening as port:
        yield port


def _ops(
    ground: _Ground,
    settings: SchedulerSettings,
    sync: Sync,
    loops: Loops,
    *,
    board: Board | None,
) -> AbstractAsyncContextManager[int]:
    async def status() -> dict[str, Any]:
        return {
            "process": "scheduler",
            "version": __version__,
            "ready": ground.health.ready,
            "allowlist": sync.snapshot(),
            "recordings": loops.status(),
        }

    panel = Panel(
        "scheduler",
        script(),
        status,
        ground.health,
        said=WORTH_READING,
        details={
            "recording": recording_of(
                loops.registry, silence=loops.timings.silence, clock=ground.clock
            )
        },
    )
    app = ops_application(
        panel=panel,
        registry=ground.registry,
        board=board,
        host=settings.ops_listen.host,
        clock=ground.clock,
    )
    return _listening(app, "scheduler.ops_listen", settings.ops_listen)
