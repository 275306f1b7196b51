"""The public port: one handler, its limits, and the table of answers. Small JSON objects only.

| case | answer |
|---|---|
| stored, or already stored | 200 `stored`, `duplicate` |
| safe in the local spool, on the stream later | 200 `spooled` |
| the console's test notification | 200 `check` |
| signed but not readable | 200 `quarantined` |
| missing, malformed, wrong or too old a signature | 401 `refused` |
| signed, but the client is not on the allow-list, with `require_listed` | 403 `refused` |
| body cut off 400, unknown path or source 404, other method 405 | `refused` |
| slow body 408, too large 413, compressed 415, unknown `Expect` 417 | `refused` |
| neither store nor spool took it | 503 `unavailable`: the vendor repeats it |

There is one route, so it is served without a router: `aiohttp.web.Server`, whose handler this is.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError, HttpVersion11

from agora_sidecar.agora.errors import NotificationError, SignatureError, UnreadableError
from agora_sidecar.agora.notifications import Notification, payload_bytes, read_notification
from agora_sidecar.agora.signatures import SigningSecret, verify
from agora_sidecar.entry import notification_fields, quarantine_fields
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append
from receiver.answers import Answers, plain
from receiver.inbox import Inbox
from receiver.metrics import ReceiverMetrics
from receiver.visitors import Visitors

log = structlog.get_logger()

BODY_TIMEOUT = 5.0
"""Seconds for a body to arrive; the vendor waits 10 for the answer."""


_TEXTS = {"duplicate_payload": "duplicate"}
"""Where the answer is less precise than the metric."""


@dataclass(frozen=True, slots=True)
class Source:
    """One configured sender: its secrets, and how lenient to be with it."""

    name: str
    secrets: Sequence[SigningSecret]
    accept_sha1: bool = False
    redundant: bool = False


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that goes no further; `reason` is for metrics and logs, not for the client."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class Webhook:
    """Answers the vendor's callbacks."""

    def __init__(
        self,
        *,
        path: str,
        sources: Mapping[str, Source],
        max_body: int,
        max_age: float | None,
        inbox: Inbox,
        shards: Shards,
        clock: Clock,
        metrics: ReceiverMetrics,
        visitors: Visitors | None = None,
        on_authentic: Callable[[web.BaseRequest], None] = lambda _: None,
        body_timeout: float = BODY_TIMEOUT,
    ) -> None:
        self._answers = Answers()
        self._visitors = visitors
        self._on_authentic = on_authentic
        self._log = log.bind()  # the module's looks up the configuration at each call
        self._body_timeout = body_timeout
        self._path = path
        self._paths = _paths(path, sources)
        self._max_body = max_body
        self._max_age = max_age
        self._inbox = inbox
        self._shards = shards
        self._clock = clock
        self._metrics = metrics

    def replace(self, sources: Mapping[str, Source], *, max_age: float | None) -> None:
        """Go on with these; a request that has begun ends with those it began with."""
        self._paths, self._max_age = _paths(self._path, sources), max_age

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of the public port."""
        started = time.perf_counter()
        try:
            source = self._source(request)
            body = await self._body(request)
            outcome = await self._accept(request, source, body)
        except Refusal as refusal:
            return self._refuse(request, refusal)
        except SignatureError as error:
            log.warning("event.refused", reason=error.reason, remote=request.remote)
            return self._refuse(request, Refusal(error.status, error.reason))
        except StoreError as error:
            self._metrics.answer(503, error.kind).inc()
            return self._answers(request, 503, "unavailable")
        self._metrics.acknowledge.observe(time.perf_counter() - started)
        self._metrics.answer(200, outcome).inc()
        return self._answers(request, 200, _TEXTS.get(outcome, outcome))

    def _source(self, request: web.BaseRequest) -> Source:
        source = self._paths.get(request.path)
        if source is None:
            raise Refusal(404, "unknown_path")
        if request.method != "POST":
            raise Refusal(405, "method", {"Allow": "POST"})
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Refusal(415, "compressed", {"Accept-Encoding": "identity"})
        if (request.content_length or 0) > self._max_body:
            raise Refusal(413, "too_large", {"Connection": "close"})
        return source

    async def _body(self, request: web.BaseRequest) -> bytes:
        content = request.content
        if content.is_eof() and content.exception() is None:  # it came with its headers
            body: bytes = content.read_nowait()
            if len(body) > self._max_body:
                raise Refusal(413, "too_large", {"Connection": "close"})
            return body
        _go_on(request)
        try:
            async with asyncio.timeout(self._body_timeout):
                return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise Refusal(413, "too_large", {"Connection": "close"}) from error
        except TimeoutError as error:
            raise Refusal(408, "slow_body", {"Connection": "close"}) from error
        except (ConnectionError, HttpProcessingError) as error:
            raise Refusal(400, "cut_off", {"Connection": "close"}) from error

    async def _accept(self, request: web.BaseRequest, source: Source, body: bytes) -> str:
        now = self._clock.now()
        label = verify(
            request.headers, body, source.secrets, now=now, accept_sha1=source.accept_sha1
        )
        self._on_authentic(request)
        self._metrics.signed_by(source.name, label).inc()
        if self._visitors is not None and not self._visitors.admits(request, source.name):
            log.warning("event.refused", reason="unlisted", remote=request.remote)
            raise Refusal(403, "unlisted")
        received_ms = int(now * 1000)
        try:
            notice = read_notification(body)
        except UnreadableError as error:
            return await self._set_aside(source, error, body, received_ms)
        if notice.is_check:
            log.info("event.check", source=source.name, event_type=notice.event_type)
            return "check"
        self._require_fresh(notice, now)
        return await self._store(source, notice, received_ms)

    async def _store(self, source: Source, notice: Notification, received_ms: int) -> str:
        fields = notification_fields(notice, source=source.name, received_ms=received_ms)
        keys = self._shards.of(notice.sid or notice.cname or "")
        item = Append(keys.events, _marks(keys, source, notice), fields, notice.body)
        outcome = await self._inbox.put(item, received_ms)
        log = self._log
        log.info(
            "event.stored"
            if outcome == "stored"
            else "event.spooled"
            if outcome == "spooled"
            else "event.duplicate",
            source=source.name,
            notice_id=notice.notice_id,
            event_type=notice.event_type,
            sid=notice.sid,
        )
        return outcome

    async def _set_aside(
        self, source: Source, error: NotificationError, body: bytes, received_ms: int
    ) -> str:
        keys = self._shards.whole
        fields = quarantine_fields(source=source.name, reason=str(error), received_ms=received_ms)
        mark = keys.same(source.name, sha256(body).hexdigest())
        await self._inbox.put(Append(keys.quarantine, (mark,), fields, body), received_ms)
        log.warning("event.quarantined", source=source.name, reason=error.reason, size=len(body))
        return "quarantined"

    def _require_fresh(self, notice: Notification, now: float) -> None:
        if self._max_age is None or notice.notify_ms is None:
            return
        if now - notice.notify_ms / 1000 > self._max_age:
            raise SignatureError("stale")

    def _refuse(self, request: web.BaseRequest, refusal: Refusal) -> web.StreamResponse:
        self._metrics.answer(refusal.status, refusal.reason).inc()
        if refusal.headers:
            return plain(refusal.status, "refused", refusal.headers)
        return self._answers(request, refusal.status, "refused")


def _go_on(request: web.BaseRequest) -> None:
    """`Expect: 100-continue`: the client waits for this before it sends the body."""
    expected = request.headers.get("Expect", "") if request.version >= HttpVersion11 else ""
    if expected.lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    elif expected:
        raise Refusal(417, "expectation", {"Connection": "close"})


def _marks(keys: Keys, source: Source, notice: Notification) -> tuple[str, ...]:
    seen = keys.seen(source.name, notice.notice_id)
    if not source.redundant:
        return (seen,)
    digest = sha256(payload_bytes(notice.body)).hexdigest()
    return (seen, keys.same(source.name, digest))


def _paths(path: str, sources: Mapping[str, Source]) -> dict[str, Source]:
    paths = {f"{path}/{name}": source for name, source in sources.items()}
    if "default" in sources:
        paths[path] = sources["default"]
    elif len(sources) == 1:
        paths[path] = next(iter(sources.values()))
    return paths
