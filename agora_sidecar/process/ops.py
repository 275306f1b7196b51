"""The ops port: /livez, /readyz, /metrics, /status and a page that links them. Never public."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from agora_sidecar.process.health import Health

Status = Callable[[], Awaitable[dict[str, Any]]]
"""What `/status` shows: one JSON object."""


def ops_application(
    *, name: str, health: Health, registry: CollectorRegistry, status: Status
) -> web.Application:
    """The ops port's handlers over what a process tells of itself."""

    async def livez(_: web.Request) -> web.Response:
        return _json({"status": "alive"})

    async def readyz(_: web.Request) -> web.Response:
        body = {"ready": health.ready, "dependencies": conditions(health)}
        return _json(body, status=200 if health.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def show(_: web.Request) -> web.Response:
        return _json(await status())

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=_page(name), content_type="text/html")

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/status", show)
    return app


def conditions(health: Health) -> dict[str, Any]:
    """Each dependency: ok or why not, and since when (RFC 3339)."""
    return {
        c.name: {
            "ok": not c.problem,
            **({"why": c.problem} if c.problem else {}),
            "since": datetime.fromtimestamp(c.since, UTC).isoformat(timespec="seconds"),
            "required": c.required,
        }
        for c in health.conditions()
    }


def _json(value: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def _page(name: str) -> str:
    links = "".join(
        f'<li><a href="{path}">{path}</a> {about}</li>'
        for path, about in (
            ("/status", "what it is doing"),
            ("/readyz", "what it depends on"),
            ("/metrics", "for Prometheus"),
            ("/livez", "is it running"),
        )
    )
    title = escape(name)
    return f"<!doctype html><title>{title}</title><h1>{title}</h1><ul>{links}</ul>"
