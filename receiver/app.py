"""The receiver's composition root: joins the parts, starts and ends them in order."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
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
from agora_sidecar.store import connect
from agora_sidecar.stream import Writer
from agora_sidecar.watch import StoreWatch, first_look
from receiver.client_address import TrustedProxies
from receiver.inbox import Inbox
from receiver.inlet import Inlet
from receiver.listed import AddressList, Hints
from receiver.metrics import ReceiverMetrics
from receiver.safety import Safety
from receiver.settings import ReceiverSettings
from receiver.status import Status
from receiver.tls import Certificate
from receiver.visitors import Visitors
from receiver.webhook import Source, Webhook

log = structlog.get_logger()

Ready = Callable[[dict[str, int]], None]
"""Is told the ports, by name, once everything listens."""


async def run(
    stop: asyncio.Event,
    *,
    data_dir: Path,
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
        CertificateError: the certificate or its key cannot be used.
    """
    parts = _Parts(
        data_dir, redis, stream, settings=settings, sources=sources, clock=clock or SystemClock()
    )
    ops, public = settings.ops_listen, settings.listen
    try:
        await asyncio.gather(first_look(parts.watch), parts.safety.open())
        async with (
            background(parts.watch.run(), parts.safety.run(), *parts.more),
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
                tls=parts.certificate.context if parts.certificate else None,
                shared=settings.workers > 1,
            ) as port,
        ):
            parts.health.report("listening")
            log.info("receiver.started", version=__version__, listen=port, ops=ops_port)
            on_ready({"listen": port, "ops": ops_port})
            await stop.wait()
            log.info("receiver.stopping")
        await parts.inbox.close()
    finally:
        with suppress(TimeoutError):
            await parts.safety.close()
        await parts.client.aclose()
    log.info("receiver.stopped")


class _Parts:
    """Everything that runs, joined."""

    def __init__(
        self,
        data_dir: Path,
        redis: RedisSettings,
        stream: StreamSettings,
        *,
        settings: ReceiverSettings,
        sources: Sequence[SourceSettings],
        clock: Clock,
    ) -> None:
        registry = CollectorRegistry()
        metrics = ReceiverMetrics(registry)
        # the ops port answers first: nobody may be sent here before the public one does
        self.more: list[Coroutine[Any, Any, None]] = []
        self.certificate = _certificate(settings)
        if self.certificate is not None:
            left = self.certificate.seconds_left
            metrics.certificate.set_function(lambda: left(clock.now()))
            self.more.append(self.certificate.watch(clock))
        self.health = health = Health(clock)
        health.expect("listening")
        self.client = connect(redis.url.get_secret_value(), timeout=settings.ack_deadline / 2)
        writer = Writer(self.client, dedupe_window=stream.dedupe_window)
        self.safety = Safety(
            writer,
            folder=data_dir / "spool",
            limit=settings.spool_limit,
            shadow=settings.shadow,
            window=stream.dedupe_window,
            durability=settings.durability,
            health=health,
            clock=clock,
            metrics=metrics,
        )
        self.inbox = Inbox(
            writer,
            self.safety.spool,
            metrics=metrics,
            clock=clock,
            deadline=settings.ack_deadline,
            hedge_after=settings.hedge_after,
            needs_disk=settings.durability == "disk",
        )
        self.safety.serve(self.inbox)
        webhook = Webhook(
            path=settings.path,
            sources={source.name: _source(source) for source in sources},
            max_body=settings.max_body,
            max_age=settings.max_age,
            inbox=self.inbox,
            shards=Shards(redis.prefix, stream.shards),
            clock=clock,
            metrics=metrics,
            visitors=self._visitors(redis, settings, clock, metrics=metrics),
        )
        self.inlet = Inlet(
            webhook.handle,
            max_body=settings.max_body,
            max_connections=settings.max_connections,
            metrics=metrics,
        )
        self.watch = StoreWatch(
            self.client, health=health, clock=clock, anew=3.0, on_durability=self.safety.learnt
        )
        health.one_of("redis", "spool")
        self.ops = ops_application(
            name="agora-sidecar receiver",
            health=health,
            registry=registry,
            status=Status(
                settings=settings,
                sources=sources,
                health=health,
                watch=self.watch,
                safety=self.safety,
                inbox=self.inbox,
            ),
        )

    def _visitors(
        self,
        redis: RedisSettings,
        settings: ReceiverSettings,
        clock: Clock,
        *,
        metrics: ReceiverMetrics,
    ) -> Visitors | None:
        if settings.require_listed == "off":
            return None
        addresses = AddressList(self.client, Keys(redis.prefix), clock=clock)
        hints = Hints(self.client, Keys(redis.prefix), clock=clock)
        self.more += [addresses.run(), hints.run()]
        return Visitors(
            TrustedProxies(settings.trusted_proxies),
            addresses,
            hints,
            policy=settings.require_listed,
            metrics=metrics,
        )


def _certificate(settings: ReceiverSettings) -> Certificate | None:
    if not settings.tls_certificate:
        return None
    return Certificate(Path(settings.tls_certificate), Path(settings.tls_key))


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
