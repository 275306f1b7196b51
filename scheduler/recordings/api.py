"""The recordings API for the business server: HTTP in, the registry's answers out.

It must be of no use to a page in a browser: a known `Host`, `application/json` for what carries a
body, and a token wherever one is configured. Errors are small JSON objects.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

import msgspec
import structlog
from aiohttp import web

from agora_sidecar.process.clock import Clock
from agora_sidecar.store import StoreError
from scheduler.recordings.body import RegistrationError
from scheduler.recordings.door import Door, Refused
from scheduler.recordings.ledger import ConflictError, SessionUnreadableError
from scheduler.recordings.registration import OtherRecordingError, read_registration
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import Session

log = structlog.get_logger()

MAX_BODY = 64 * 1024
"""Bytes; a registration has less than 4 KiB."""
LIST_LIMIT = 1000
"""Recordings in one answer: of those that are looked at, the ones that began last."""
LOOK_AT = 10_000
"""A second's work for this process and the store; the command line looks at more."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def recordings_application(
    *,
    registry: Registry,
    app_ids: Collection[str],
    clock: Clock,
    door: Door,
) -> web.Application:
    """`/recordings` over a registry, behind this door."""
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors, _guard(door)])
    api = _Api(registry=registry, app_ids=frozenset(app_ids), clock=clock)
    app.router.add_get("/recordings", api.list, allow_head=False)
    app.router.add_get("/recordings/{sid}", api.show, allow_head=False)
    app.router.add_put("/recordings/{sid}", api.register)
    app.router.add_delete("/recordings/{sid}", api.stop)
    return app


class _Api:
    """The handlers: read the request, ask the registry, answer."""

    def __init__(self, *, registry: Registry, app_ids: frozenset[str], clock: Clock) -> None:
        self._registry = registry
        self._app_ids = app_ids
        self._clock = clock

    async def list(self, _: web.Request) -> web.Response:
        found = await self._registry.all(limit=LOOK_AT)
        shown = [self._shown(session) for session in found[:LIST_LIMIT]]
        return _json({"recordings": shown, "truncated": len(found) > LIST_LIMIT})

    async def show(self, request: web.Request) -> web.Response:
        session = await self._registry.get(request.match_info["sid"])
        return _unknown() if session is None else _json(self._shown(session))

    async def register(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return _error(415, "send application/json")
        body = _body(await request.read())
        facts = read_registration(
            request.match_info["sid"], body, app_ids=self._app_ids, now=self._clock.now()
        )
        session, created = await self._registry.register(facts)
        if created:
            log.info("recording.registered", sid=session.sid, cname=session.cname)
        return _json(self._shown(session), status=201 if created else 200)

    async def stop(self, request: web.Request) -> web.Response:
        session = await self._registry.want_stopped(request.match_info["sid"])
        if session is None:
            return _unknown()
        owed = session.closed_at is None
        if owed:
            log.info("recording.stop_wanted", sid=session.sid, remote=request.remote)
        return _json(self._shown(session), status=202 if owed else 200)

    def _shown(self, session: Session) -> dict[str, Any]:
        return self._registry.describe(session)


def _body(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise web.HTTPBadRequest(text="the body is not JSON") from None


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is a small JSON object; a mistake of ours is logged and says nothing more."""
    try:
        return await handler(request)
    except RegistrationError as error:
        problems = msgspec.to_builtins(error.problems)
        return _json({"error": "this is not a recording", "problems": problems}, status=400)
    except OtherRecordingError as error:
        return _error(409, str(error))
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _error(error.status, error.text or error.reason, headers=headers)
    except Exception as error:  # boundary: no traceback for a caller
        return _failed(request, error)


def _failed(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, StoreError | ConflictError):
        log.warning("recording.api_unavailable", path=request.path, why=str(error))
        return _error(503, "the store does not answer; try again", headers={"Retry-After": "1"})
    if isinstance(error, SessionUnreadableError):
        log.error("recording.unreadable", sid=error.sid, why=error.why)
        return _error(500, "what the ledger holds of this recording cannot be read")
    log.error("recording.api_failed", path=request.path, why=repr(error), exc_info=error)
    return _error(500, "this failed; the log says why")


def _guard(door: Door) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        why = door.refuses(request.headers)
        if why is None:
            return await handler(request)
        if why is Refused.HOST:
            return _error(421, why.value)
        log.warning("recording.api_refused", remote=request.remote, path=request.path)
        if why is Refused.PAGE:
            return _error(403, why.value)
        return _error(401, "a token is required", headers={"WWW-Authenticate": "Bearer, Basic"})

    return guard


def _unknown() -> web.Response:
    return _error(404, "no such recording is known")


def _error(status: int, text: str, *, headers: dict[str, str] | None = None) -> web.Response:
    return _json({"error": text}, status=status, headers=headers)


def _json(
    value: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        headers=headers,
        content_type="application/json",
    )
