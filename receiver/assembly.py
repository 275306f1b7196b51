"""Settings into parts, for the composition root."""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from agora_sidecar.agora.signatures import SigningSecret, Window, seconds_covered
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.process.clock import Clock
from agora_sidecar.process.health import Health
from agora_sidecar.process.ops import ops_application
from agora_sidecar.process.page.board import Board, Panel
from agora_sidecar.process.page.document import part
from agora_sidecar.settings import RedisSettings, SourceSettings, StreamSettings
from agora_sidecar.store import Redis, connect
from agora_sidecar.stream import Writer, at_home
from agora_sidecar.watch import StoreWatch
from receiver.abandoned import tell_abandoned
from receiver.backlog import Backlog
from receiver.client_address import TrustedProxies
from receiver.inbox import Inbox
from receiver.inlet import Inlet, proven
from receiver.listed import AddressList, Hints
from receiver.metrics import ReceiverMetrics
from receiver.safety import Safety
from receiver.settings import ReceiverSettings
from receiver.status import Status
from receiver.tls import Certificate
from receiver.visitors import Visitors
from receiver.webhook import Source, Webhook

LOOK_ANEW = 3.0
"""Seconds between looks at the store's identity: a restart is found before copies are dropped."""
WORTH_READING = ("receiver", "store", "spool", "inbox", "event", "settings", "stream", "tls")
"""Families of log events that the status page shows."""


class Parts:
    """Everything that runs, joined; `more` runs in the background beside the watch and the spool.

    Raises:
        CertificateError: the certificate or its key cannot be used.
    """

    def __init__(
        self,
        data_dir: Path,
        redis: RedisSettings,
        stream: StreamSettings,
        *,
        settings: ReceiverSettings,
        sources: Sequence[SourceSettings],
        clock: Clock,
        board: Board | None = None,
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._stream = stream
        self._clock = clock
        self._shards = Shards(redis.prefix, stream.shards)
        self._registry = CollectorRegistry()
        self._metrics = ReceiverMetrics(self._registry)
        self.more: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.certificate = self._certificate()
        # the ops port answers first: nobody may be sent here before the public one does
        self.health = Health(clock)
        self.health.expect("listening")
        self.client = self._connects()
        writer = Writer(self.client, dedupe_window=stream.dedupe_window)
        self.safety = self._safety(writer, data_dir / "spool")
        self.inbox = self._inbox(writer)
        self.watch = self._watches()
        self.safety.serve(self.inbox, store_is_there=lambda: self.watch.durability is not None)
        self.inbox.watched = self.watch
        self.more.append(partial(tell_abandoned, self.client, self._shards, clock))
        self.health.one_of("redis", "spool")
        self._webhook = self._receives(sources)
        self._watch_secrets(sources)
        self.inlet = self._inlet(self._webhook)
        self._status = self._shows(sources)
        self.ops = self._ops(self._status, board)

    def replace(self, sources: Sequence[SourceSettings], *, max_age: float | None) -> None:
        """Put other sources and another age in force, without a restart."""
        self._webhook.replace(_sources(sources), max_age=max_age)
        self._status.replace(sources)
        self._watch_secrets(sources)

    def _watch_secrets(self, sources: Sequence[SourceSettings]) -> None:
        """Let the metric tell how long each source's secrets last."""
        self._metrics.secrets.clear()
        for source in sources:
            windows = [(secret.not_before, secret.not_after) for secret in source.secrets]
            left = partial(_seconds_covered, windows, self._clock)
            self._metrics.secrets.labels(source.name).set_function(left)

    def _connects(self) -> Redis:
        def connected() -> None:
            self.watch.connected()  # which is made after the client that it watches

        url, timeout = self._redis.url.get_secret_value(), self._settings.ack_deadline / 2
        return connect(url, timeout=timeout, on_connect=connected)

    def _watches(self) -> StoreWatch:
        return StoreWatch(
            self.client,
            health=self.health,
            clock=self._clock,
            anew=LOOK_ANEW,
            on_durability=self.safety.learnt,
        )

    def _certificate(self) -> Certificate | None:
        settings, clock = self._settings, self._clock
        if not settings.tls_certificate:
            return None
        certificate = Certificate(Path(settings.tls_certificate), Path(settings.tls_key))
        self._metrics.certificate.set_function(lambda: certificate.seconds_left(clock.now()))
        self.more.append(partial(certificate.watch, clock))
        return certificate

    def _safety(self, writer: Writer, folder: Path) -> Safety:
        return Safety(
            writer,
            folder=folder,
            limit=self._settings.spool_limit,
            shadow=self._settings.shadow,
            window=self._stream.dedupe_window,
            durability=self._settings.durability,
            health=self.health,
            clock=self._clock,
            metrics=self._metrics,
            home=lambda item: at_home(item, self._shards),
        )

    def _inbox(self, writer: Writer) -> Inbox:
        return Inbox(
            writer,
            self.safety.spool,
            metrics=self._metrics,
            clock=self._clock,
            deadline=self._settings.ack_deadline,
            hedge_after=self._settings.hedge_after,
            needs_disk=self._settings.durability == "disk",
        )

    def _receives(self, sources: Sequence[SourceSettings]) -> Webhook:
        return Webhook(
            path=self._settings.path,
            sources=_sources(sources),
            max_body=self._settings.max_body,
            max_age=self._settings.max_age,
            inbox=self.inbox,
            shards=self._shards,
            clock=self._clock,
            metrics=self._metrics,
            visitors=self._visitors(),
            on_authentic=proven,
        )

    def _inlet(self, webhook: Webhook) -> Inlet:
        return Inlet(
            webhook.handle,
            max_body=self._settings.max_body,
            max_connections=self._settings.max_connections,
            metrics=self._metrics,
        )

    def _visitors(self) -> Visitors | None:
        policy, keys = self._settings.require_listed, Keys(self._redis.prefix)
        if policy == "off":
            return None
        addresses = AddressList(self.client, keys, clock=self._clock)
        hints = Hints(self.client, keys, clock=self._clock)
        self.more += [addresses.run, hints.run, hints.report]
        proxies = TrustedProxies(self._settings.trusted_proxies)
        return Visitors(proxies, addresses, hints, policy=policy, metrics=self._metrics)

    def _shows(self, sources: Sequence[SourceSettings]) -> Status:
        return Status(
            settings=self._settings,
            sources=sources,
            health=self.health,
            watch=self.watch,
            safety=self.safety,
            inbox=self.inbox,
            metrics=self._metrics,
            backlog=Backlog(self.client, Shards(self._redis.prefix, self._stream.shards)),
        )

    def _ops(self, status: Status, board: Board | None) -> web.Application:
        panel = Panel(
            "receiver", part("receiver", "panel.js"), status, self.health, said=WORTH_READING
        )
        return ops_application(
            panel=panel,
            registry=self._registry,
            board=board,
            host=self._settings.ops_listen.host,
            clock=self._clock,
        )


def _seconds_covered(windows: Sequence[Window], clock: Clock) -> float:
    return seconds_covered(windows, clock.now())


def _sources(settings: Sequence[SourceSettings]) -> dict[str, Source]:
    return {source.name: _source(source) for source in settings}


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
