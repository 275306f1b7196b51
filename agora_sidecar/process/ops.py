"""The ops port: /livez, /readyz, /metrics, /status, and / for people. Never public.

Where it listens on this machine alone, it answers only under this machine's names: a page in a
browser that calls itself by another one must not read it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from agora_sidecar.process.clock import Clock, SystemClock
from agora_sidecar.process.page.board import Board, DetailError, Panel, conditions
from agora_sidecar.process.page.document import Document, document
from agora_sidecar.process.page.live import Live
from agora_sidecar.process.readiness import HealthMetrics

_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ops_application(
    *,
    panel: Panel,
    registry: CollectorRegistry,
    board: Board | None = None,
    host: str = "",
    clock: Clock | None = None,
) -> web.Application:
    """The ops port's handlers over what a process tells of itself.

    `board` has the panels of the page, this process's own for as long as the application runs;
    `host` is what is listened on.
    """
    board = board or Board()
    handlers = _Ops(panel, registry, _Page(board, clock=clock))
    app = web.Application(middlewares=[_this_machine] if _is_here(host) else [])
    app.cleanup_ctx.append(handlers.shown)
    app.on_shutdown.append(handlers.close)
    for path, handler in (
        ("/", handlers.page.show),
        ("/livez", handlers.livez),
        ("/readyz", handlers.readyz),
        ("/metrics", handlers.metrics),
        ("/status", handlers.status),
        ("/status/{kind}/{name}", handlers.page.detail),
    ):
        app.router.add_get(path, handler)
    app.router.add_get("/live", handlers.page.live.handle, allow_head=False)
    return app


class _Ops:
    """What machines ask for."""

    def __init__(self, panel: Panel, registry: CollectorRegistry, page: "_Page") -> None:
        self._panel = panel
        self._registry = registry
        self._health = HealthMetrics(registry)
        self.page = page

    async def shown(self, _: web.Application) -> AsyncIterator[None]:
        """The panel stands on the board while the application runs."""
        with self.page.board.showing(self._panel):
            yield

    async def close(self, _: web.Application) -> None:
        """Let go of those who watch, before others are waited for."""
        await self.page.live.close()

    async def livez(self, _: web.Request) -> web.Response:
        return _json({"status": "alive"})

    async def readyz(self, _: web.Request) -> web.Response:
        health = self._panel.health
        body = {"ready": health.ready, "dependencies": conditions(health)}
        return _json(body, status=200 if health.ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        self._health.show(self._panel.health)
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def status(self, _: web.Request) -> web.Response:
        return _json(await self._panel.status())


class _Page:
    """What people look at."""

    def __init__(self, board: Board, *, clock: Clock | None) -> None:
        self.board = board
        self.live = Live(self._message)
        self._clock = clock or SystemClock()
        self._made: tuple[tuple[Panel, ...], Document] | None = None

    async def show(self, _: web.Request) -> web.Response:
        made = self._document()
        return web.Response(
            body=made.body, content_type="text/html", charset="utf-8", headers=made.headers
        )

    async def detail(self, request: web.Request) -> web.Response:
        """More of what a viewer chose."""
        asked = request.match_info
        try:
            found = await self.board.detail(asked["kind"], asked["name"])
        except DetailError as error:
            return _json({"error": str(error)}, status=503)
        return _json({"error": "unknown"}, status=404) if found is None else _json(found)

    async def _message(self) -> bytes:
        return msgspec.json.encode(
            {
                "page": self._document().digest,
                "at": self._clock.now(),
                "panels": await self.board.now(),
            }
        )

    def _document(self) -> Document:
        panels = self.board.panels
        if self._made is None or self._made[0] != panels:
            self._made = panels, document(panels)
        return self._made[1]


@web.middleware
async def _this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only under a name of this machine: what a browser calls by another one is another page."""
    name = _host(request)
    if name and not _is_here(name):  # browsers always say one
        return _json({"error": "not served under this Host"}, status=421)
    return await handler(request)


def _host(request: web.Request) -> str:
    said = request.headers.get("Host", "")
    try:
        return urlsplit(f"//{said}").hostname or said
    except ValueError:
        return said


def _is_here(name: str) -> bool:
    """Whether this name or address is always that of the machine itself."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _json(value: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers=_SAFE,
    )
