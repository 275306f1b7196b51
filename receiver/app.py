"""The receiver's composition root: joins the parts, starts and ends them in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog
from aiohttp import web

from agora_sidecar import __version__
from agora_sidecar.process.clock import Clock, SystemClock
from agora_sidecar.process.page.board import Board
from agora_sidecar.process.service_manager import Sockets
from agora_sidecar.process.serving import GOODBYE, background, listening
from agora_sidecar.settings import RedisSettings, SourceSettings, StreamSettings
from agora_sidecar.watch import first_look
from receiver.assembly import Parts
from receiver.settings import ReceiverSettings

log = structlog.get_logger()

FIRST_LOOK = 0.5
"""Seconds that a start waits for the store; behind one that hangs the spool answers."""

Ready = Callable[[dict[str, int]], None]
"""Is told the ports, by name, once everything listens."""


class Replace(Protocol):
    """Puts other sources in force."""

    def __call__(self, sources: Sequence[SourceSettings], *, max_age: float | None) -> None:
        """At once, and all of them."""
        ...


Reloading = Callable[[Replace], Coroutine[Any, Any, None]]
"""Work that replaces the sources whenever the settings change; runs beside the rest."""


async def run(
    stop: asyncio.Event,
    *,
    data_dir: Path,
    redis: RedisSettings,
    stream: StreamSettings,
    settings: ReceiverSettings,
    sources: Sequence[SourceSettings],
    clock: Clock | None = None,
    sockets: Sockets | None = None,
    reload: Reloading | None = None,
    board: Board | None = None,
    on_ready: Ready = lambda _: None,
) -> None:
    """Receive until `stop` is set, then finish what is under way. `board` is the status page's.

    Raises:
        ListenError: an address cannot be listened on.
        CertificateError: the certificate or its key cannot be used.
    """
    clock = clock or SystemClock()
    parts = Parts(
        data_dir, redis, stream, settings=settings, sources=sources, clock=clock, board=board
    )
    work = [parts.watch.run, parts.safety.run, *parts.more]
    if reload is not None:
        work.append(partial(reload, parts.replace))
    try:
        await asyncio.gather(first_look(parts.watch, timeout=FIRST_LOOK), parts.safety.open())
        async with (
            background(*(begin() for begin in work)),
            _ops(parts, settings) as ops,
            _public(parts, settings, sockets) as port,
        ):
            parts.health.report("listening")
            log.info("receiver.started", version=__version__, listen=port, ops=ops)
            on_ready({"listen": port, "ops": ops})
            await stop.wait()
            log.info("receiver.stopping")
        await parts.inbox.close()
    finally:
        await parts.safety.close()
        await parts.client.aclose()
    log.info("receiver.stopped")


@asynccontextmanager
async def _ops(parts: Parts, settings: ReceiverSettings) -> AsyncIterator[int]:
    runner = web.AppRunner(parts.ops, access_log=None, shutdown_timeout=1.0)
    at = settings.ops_listen
    async with listening(runner, name="receiver.ops_listen", host=at.host, port=at.port) as port:
        yield port


@asynccontextmanager
async def _public(
    parts: Parts, settings: ReceiverSettings, sockets: Sockets | None
) -> AsyncIterator[int]:
    async with listening(
        web.ServerRunner(parts.inlet, shutdown_timeout=settings.ack_deadline),
        name="receiver.listen",
        host=settings.listen.host,
        port=settings.listen.port,
        tls=parts.certificate.context if parts.certificate else None,
        shared=settings.workers > 1,
        sockets=sockets,
        goodbye=GOODBYE,
    ) as port:
        yield port
