"""The vendor's paths for the business server: HTTP in, the same call out, its answer back.

Bodies go out as they came (but for a property's other spelling), answers come back byte for byte.
What the reference does not allow is refused before it is sent, in the vendor's shape.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agora_sidecar.agora import calls, fields
from agora_sidecar.agora.calls import Call
from agora_sidecar.agora.errors import ApiError, RetryLaterError, UnexpectedAnswerError
from agora_sidecar.agora.exchange import Answer as Reply
from agora_sidecar.process.clock import Clock
from scheduler.recordings import gateway_answers as say
from scheduler.recordings.door import Door
from scheduler.recordings.gateway_answers import Answer
from scheduler.recordings.gateway_judge import Judge, RefusalError
from scheduler.recordings.gateway_memory import Memory
from scheduler.recordings.gateway_metrics import GatewayMetrics
from scheduler.recordings.gateway_requests import (
    Incoming,
    NotJsonError,
    facts,
    read_body,
    to_vendor,
)
from scheduler.recordings.gateway_ties import Ties

log = structlog.get_logger()

MAX_BODY = 256 * 1024
"""Bytes; the largest that the reference allows have some tens of KiB."""
OWN_PATHS = "/recordings"
"""Beside the vendor's paths; not ours to answer."""
APP = "/v1/apps/{app_id}/cloud_recording"
TASK = APP + "/resourceid/{resource_id}/sid/{sid}/mode/{mode}"
PATHS = (
    ("POST", f"{APP}/acquire", calls.ACQUIRE),
    ("POST", f"{APP}/resourceid/{{resource_id}}/mode/{{mode}}/start", calls.START),
    ("GET", f"{TASK}/query", calls.QUERY),
    ("POST", f"{TASK}/update", calls.UPDATE),
    ("POST", f"{TASK}/updateLayout", calls.UPDATE_LAYOUT),
    ("POST", f"{TASK}/stop", calls.STOP),
    ("GET", "/v1/ncs/ip", calls.NCS_IP),
    ("GET", "/v2/ncs/ip", calls.NCS_IP),
)
REGION = "/{region:cn|eu|ap|na|us}"
"""A prefix in use for cross-region acceleration."""


class Client(Protocol):
    """Whoever carries calls to the vendor; `forward` raises `ApiError`."""

    async def forward(self, call: Call) -> Reply:
        """Carry this call; the business server waits for it."""
        ...


class Gateway:
    """Handlers and the door before them."""

    def __init__(
        self,
        *,
        client: Client,
        memory: Memory,
        ties: Ties,
        app_ids: Collection[str],
        judge: Judge,
        door: Door,
        clock: Clock,
        metrics: GatewayMetrics,
    ) -> None:
        self._client = client
        self._memory = memory
        self._ties = ties
        self._app_ids = frozenset(app_ids)
        self._judge = judge
        self._door = door
        self._clock = clock
        self._metrics = metrics

    def mount(self, application: web.Application) -> None:
        """Serve the vendor's paths in this application, beside what it has."""
        for prefix in ("", REGION):
            for method, path, name in PATHS:
                handler = partial(self._serve, name)
                application.router.add_route(method, prefix + path, handler)
        application.middlewares.insert(0, self._middleware())

    def _middleware(self) -> Middleware:
        """Before all others: what is not ours goes on to them, the rest has the vendor's shape."""

        @web.middleware
        async def vendor_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path == OWN_PATHS or request.path.startswith(f"{OWN_PATHS}/"):
                return await handler(request)
            why = self._door.refuses(request.headers)
            if why is not None:
                return self._refused(request, "", say.refused(why))
            if request.match_info.http_exception is not None:
                return self._refused(request, "", say.no_route())
            # the others' shapes and limits are not the vendor's
            return await request.match_info.handler(request)

        return vendor_shape

    async def _serve(self, name: str, request: web.Request) -> web.StreamResponse:
        began = self._clock.monotonic()
        try:
            incoming = await self._read(name, request)
            await self._judge.see(incoming)
            reply = await self._forward(incoming)
        except RefusalError as refusal:
            return self._refused(request, name, refusal.answer)
        except ApiError as error:
            return self._failed(error, request, began)
        except Exception as error:  # boundary: no traceback for a caller
            log.error("gateway.failed", call=name, why=repr(error), exc_info=error)
            self._metrics.calls.labels(name, "unanswered").inc()
            return _response(say.internal_error())
        self._metrics.calls.labels(name, "ok").inc()
        self._log_answer(
            name,
            request,
            began,
            status=200,
            request_id=reply.request_id,
            sid=fields.text(reply.body.get("sid")),
        )
        return _response(Answer(200, reply.raw), request_id=reply.request_id)

    async def _read(self, name: str, request: web.Request) -> Incoming:
        """The request as a value.

        Raises:
            RefusalError: it is for another app id, or not readable.
        """
        place = request.match_info
        if "app_id" in place and place["app_id"] not in self._app_ids:
            raise RefusalError(say.other_app_id())
        raw = await _bounded(request) if request.method == "POST" else b""
        body = self._body(request, raw) if request.method == "POST" else {}
        return Incoming(
            name=name,
            method=request.method,
            path=request.rel_url.raw_path,
            app_id=place.get("app_id", ""),
            resource_id=place.get("resource_id", ""),
            sid=place.get("sid", ""),
            mode=place.get("mode", ""),
            raw=raw,
            body=body,
        )

    def _body(self, request: web.Request, raw: bytes) -> Mapping[str, Any]:
        # the reference lets it be left out; what a page sends has an Origin
        if request.content_type != "application/json" and "Content-Type" in request.headers:
            reason = "Content-Type must be application/json"
            raise RefusalError(say.service(400, say.WRONG_TYPE_OF_CONTENT, reason))
        try:
            return read_body(raw)
        except NotJsonError:
            # a page cannot get here: from it on, it is the operator's choice
            if self._judge.strict:
                answer = say.service(400, say.BAD_PARAMETER, "body must be a JSON object")
                raise RefusalError(answer) from None
            return {}

    async def _forward(self, incoming: Incoming) -> Reply:
        """Carry it to the vendor, and note what it means for the recording."""
        async with self._tied(incoming):
            if incoming.name == calls.STOP:
                return await self._stop(incoming)
            reply = await self._client.forward(to_vendor(incoming))
        await self._note(incoming, reply)
        return reply

    async def _stop(self, incoming: Incoming) -> Reply:
        """Carry a stop: it is owed from then on, for which its recording must be known."""
        told: Mapping[str, Any] | None = None
        try:
            reply = await self._client.forward(to_vendor(incoming))
            told = reply.body
        except (RetryLaterError, UnexpectedAnswerError):
            told = {}  # it may run, and have to be stopped
            raise
        finally:
            if told is not None:
                await self._know(incoming, incoming.sid, told)
            await self._memory.want_stopped(incoming.sid)
        return reply

    @asynccontextmanager
    async def _tied(self, incoming: Incoming) -> AsyncIterator[None]:
        """While a start is under way, and once it was answered, there is no other one."""
        if incoming.name != calls.START:
            yield
            return
        self._ties.trying(incoming.resource_id)
        try:
            yield
        except ApiError as error:
            if (error.status, error.code) != (201, say.ALREADY_STARTED):
                self._ties.failed(incoming.resource_id)
            raise
        except BaseException:
            self._ties.failed(incoming.resource_id)
            raise

    async def _note(self, incoming: Incoming, reply: Reply) -> None:
        if incoming.name == calls.ACQUIRE:
            self._ties.acquired(
                str(reply.body["resourceId"]),
                app_id=incoming.app_id,
                body=incoming.body,
                now=self._clock.monotonic(),
            )
        elif incoming.resource_id:
            await self._know(incoming, incoming.sid or str(reply.body["sid"]), reply.body)

    async def _know(self, incoming: Incoming, sid: str, told: Mapping[str, Any]) -> None:
        tie = self._ties.get(incoming.resource_id)
        known = facts(incoming, sid=sid, tie=tie, told=told)
        if known is not None:
            await self._memory.know(known)

    def _failed(self, error: ApiError, request: web.Request, began: float) -> web.Response:
        answer = say.of_error(error)
        if error.body and answer.body == error.body:
            self._metrics.calls.labels(error.call, "error").inc()
            self._log_answer(
                error.call, request, began, status=error.status, request_id=error.request_id
            )
        else:
            self._metrics.calls.labels(error.call, "unanswered").inc()
            log.warning("gateway.unanswered", call=error.call, why=str(error))
        return _response(answer, request_id=error.request_id)

    def _log_answer(
        self,
        name: str,
        request: web.Request,
        began: float,
        *,
        status: Any,
        request_id: str,
        sid: str = "",
    ) -> None:
        log.info(
            "gateway.call",
            call=name,
            sid=request.match_info.get("sid", sid),
            status=status,
            request_id=request_id,
            took_ms=round(1000 * (self._clock.monotonic() - began)),
        )

    def _refused(self, request: web.Request, name: str, answer: Answer) -> web.Response:
        self._metrics.calls.labels(name, "refused").inc()
        log.warning(
            "gateway.refused",
            call=name,
            status=answer.status,
            why=answer.body.decode()[:1000],
            remote=request.remote,
        )
        return _response(answer)


async def _bounded(request: web.Request) -> bytes:
    raw = bytearray()
    try:
        async for chunk in request.content.iter_any():
            raw += chunk
            if len(raw) > MAX_BODY:
                reason = f"body must have at most {MAX_BODY} bytes"
                raise RefusalError(say.service(413, say.BAD_PARAMETER, reason))
    except (web.RequestPayloadError, OSError):  # its caller left, or wrote it otherwise than told
        raise RefusalError(say.service(400, say.BAD_PARAMETER, "body cannot be read")) from None
    return bytes(raw)


def _response(answer: Answer, *, request_id: str = "") -> web.Response:
    headers = {"X-Request-Id": request_id} if request_id else {}
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Basic"
    return web.Response(
        body=answer.body,
        status=answer.status,
        headers=headers,
        content_type="application/json",
    )
