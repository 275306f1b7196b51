"""The receiver's composition root: joins the parts, starts and ends them in order."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from agora_sidecar import __version__
from agora_sidecar.agora.signatures import SigningSecret
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.process.clock import Clock, SystemClock
from agora_sidecar.process.health import Health
from agora_sidecar.process.ops import ops_application
from agora_sidecar.process.serving import background, listening
from agora_sidecar.settings import RedisSettings, SourceSettings, StreamSettings
from agora_sidecar.store import Durability, connect
from agora_sidecar.stream import Writer
from agora_sidecar.watch import StoreWatch, first_look
from receiver.inbox import Inbox
from receiver.inlet import Inlet
from receiver.metrics import ReceiverMetrics
from receiver.settings import ReceiverSettings
from receiver.webhook import Source, Webhook

log = structlog.get_logger()

Ready = Callable[[dict[str, int]], None]
"""Is told the ports, by name, once everything listens."""


async def run(
    stop: asyncio.Event,
    *,
    redis: RedisSettings,
    stream: StreamSettings,
    settings: ReceiverSettings,
    sources: Sequence[SourceSettings],
    clock: Clock | None = None,
    on_ready: Ready = lambda _: None,
) -> None:
    """Receive until `stop` is set, then finish what is under way.

    Raises:
        ListenError: an address cannot be listened on.
    """
    parts = _Parts(redis, stream, settings, sources=sources, clock=clock or SystemClock())
    ops, public = settings.ops_listen, settings.listen
    try:
        await first_look(parts.watch)
        async with (
            background(parts.watch.run()),
            listening(
                web.AppRunner(parts.ops, access_log=None, shutdown_timeout=1.0),
                name="receiver.ops_listen",
                host=ops.host,
                port=ops.port,
            ) as ops_port,
            listening(
                web.ServerRunner(parts.inlet, shutdown_timeout=settings.ack_deadline),
                name="receiver.listen",
                host=public.host,
                port=public.port,
            ) as port,
        ):
            parts.health.report("listening")
            log.info("receiver.started", version=__version__, listen=port, ops=ops_port)
            on_ready({"listen": port, "ops": ops_port})
            await stop.wait()
            log.info("receiver.stopping")
        await parts.inbox.close()
    finally:
        await parts.client.aclose()
    log.info("receiver.stopped")


class _Parts:
    """Everything that runs, joined."""

    def __init__(
        self,
        redis: RedisSettings,
        stream: StreamSettings,
        settings: ReceiverSettings,
        *,
        sources: Sequence[SourceSettings],
        clock: Clock,
    ) -> None:
        registry = CollectorRegistry()
        metrics = ReceiverMetrics(registry)
        # the ops port answers first: nobody may be sent here before the public one does
        self.health = health = Health(clock)
        health.expect("listening")
        shards = Shards(redis.prefix, stream.shards)
        self.client = connect(redis.url.get_secret_value(), timeout=settings.ack_deadline / 2)
        writer = Writer(self.client, Keys(redis.prefix), dedupe_window=stream.dedupe_window)
        self.inbox = Inbox(writer, metrics=metrics, deadline=settings.ack_deadline)
        webhook = Webhook(
            path=settings.path,
            sources={source.name: _source(source) for source in sources},
            max_body=settings.max_body,
            max_age=settings.max_age,
            inbox=self.inbox,
            quarantine=writer.quarantine,
            shards=shards,
            clock=clock,
            metrics=metrics,
        )
        self.inlet = Inlet(webhook.handle, max_body=settings.max_body)
        keeper = _Durability(webhook, health, metrics, asked=settings.durability)
        self.watch = StoreWatch(
            self.client, health=health, clock=clock, on_durability=keeper.learnt
        )
        self.ops = ops_application(
            name="agora-sidecar receiver",
            health=health,
            registry=registry,
            status=_Status(settings=settings, sources=sources, health=health, watch=self.watch),
        )


def _source(settings: SourceSettings) -> Source:
    secrets = tuple(
        SigningSecret(
            secret.label,
            secret.value.get_secret_value().encode(),
            secret.not_before,
            secret.not_after,
        )
        for secret in settings.secrets
    )
    return Source(settings.name, secrets, settings.accept_sha1, settings.redundant)


class _Durability:
    """Compares how safe the store is with how safe it was asked to be, whenever that is learnt."""

    def __init__(
        self, webhook: Webhook, health: Health, metrics: ReceiverMetrics, *, asked: str
    ) -> None:
        self._webhook = webhook
        self._health = health
        self._metrics = metrics
        self._asked = asked

    def learnt(self, found: Durability) -> None:
        """Say what is in force, loudly where it is less than what was asked."""
        self._webhook.level = found.level
        reduced = self._asked == "disk" and found.level != "redis-fsync"
        self._metrics.durability_reduced.set(reduced)
        problem = f"durability is disk, but {found.why}" if reduced else ""
        self._health.report("durability", problem, required=False)
        if reduced:
            log.warning("receiver.durability_reduced", level=found.level, why=found.why)


class _Status:
    """The receiver's `/status`."""

    def __init__(
        self,
        *,
        settings: ReceiverSettings,
        sources: Sequence[SourceSettings],
        health: Health,
        watch: StoreWatch,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._health = health
        self._watch = watch

    async def __call__(self) -> dict[str, Any]:
        """One JSON object, without any secret."""
        found = self._watch.durability
        return {
            "process": "receiver",
            "version": __version__,
            "ready": self._health.ready,
            "path": self._settings.path,
            "sources": [
                {"name": source.name, "secrets": [secret.label for secret in source.secrets]}
                for source in self._sources
            ],
            "durability": {
                "asked": self._settings.durability,
                "level": found.level if found else "unknown",
                "why": found.why if found else "the store has not answered yet",
                "store": found.facts if found else {},
            },
        }
