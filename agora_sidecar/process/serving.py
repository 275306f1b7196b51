"""Listening and ending: what every process does around its own work."""

import asyncio
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from agora_sidecar.process.service_manager import Sockets

BACKLOG = 1024
"""Connections that the kernel accepts before the process does: a burst after a restart."""
QUIET = 0.1
"""Seconds without a connection after which nobody is expected any more; one that was accepted
needs a few turns of the loop until it counts."""
QUIET_TLS = 1.0
"""The same where a handshake comes first."""
GOODBYE = 1.0
"""Seconds in which open connections are told to close; a successor waits for as long."""

HANDSHAKE = 10.0
"""Seconds for a TLS handshake; an honest one takes a few round trips."""

CANCEL_AGAIN = 0.2
"""Seconds until a background task that did not end is cancelled again."""


class ListenError(Exception):
    """Nothing can listen there; the message says where and why."""

    def __init__(self, name: str, host: str, port: int, why: OSError | ValueError) -> None:
        text = (why.strerror or why) if isinstance(why, OSError) else why
        super().__init__(f"{name}: cannot listen on {host} port {port}: {text}")


@asynccontextmanager
async def listening(
    runner: web.BaseRunner,
    *,
    name: str,
    host: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    shared: bool = False,
    sockets: Sockets | None = None,
    goodbye: float = 0.0,
    handshake: float = HANDSHAKE,
) -> AsyncIterator[int]:
    """Serve on this address; yields the port (the system's choice for 0).

    `shared`: other processes may listen there too, and the kernel spreads connections. `sockets`:
    what was handed over; one by this setting's name is taken in place of a socket of our own, and
    then `shared` is of no use: all who have it accept from its one queue. `handshake`: seconds for
    that of `tls`; who has not got through it is nobody's connection yet, and no limit counts it.

    Leaving ends it gracefully: no new connections (those that wait at a socket that was handed
    over stay for whoever has it next), each further answer within `goodbye` seconds says
    `Connection: close`, then what is under way is finished within the runner's `shutdown_timeout`.

    Raises:
        ListenError: the address is taken, not ours, or not allowed, or what was handed over is
            something else. `name` says which setting.
    """
    await runner.setup()
    taken: socket.socket | None = None
    try:
        try:
            taken = sockets.take(name, host=host, port=port) if sockets else None
            where = {"sock": taken} if taken is not None else _address(host, port, shared=shared)
            site = _Site(runner, tls, handshake=handshake, where=where)
            await site.start()
        except (OSError, ValueError) as error:
            raise ListenError(name, host, port, error) from error
        farewell = _Farewell(runner)
        yield runner.addresses[0][1]
        await _stop_accepting(site, taken)
        await farewell.say(goodbye, quiet=QUIET_TLS if tls else QUIET)
    finally:
        await runner.cleanup()
        if taken is not None:
            taken.close()  # ours alone: whoever handed it over still listens


def _address(host: str, port: int, *, shared: bool) -> dict[str, Any]:
    return {"host": host, "port": port, "reuse_address": True, "reuse_port": shared or None}


class _Site(web.BaseSite):
    """As aiohttp's own, but for how long a handshake may take: there it is a minute."""

    def __init__(
        self,
        runner: web.BaseRunner,
        tls: ssl.SSLContext | None,
        *,
        handshake: float,
        where: dict[str, Any],
    ) -> None:
        super().__init__(runner, ssl_context=tls, backlog=BACKLOG)
        self._where = where | ({"ssl": tls, "ssl_handshake_timeout": handshake} if tls else {})

    @property
    def name(self) -> str:
        return str(self._where.get("host", "a socket that was handed over"))

    async def start(self) -> None:
        await super().start()
        create: Any = asyncio.get_running_loop().create_server
        self._server = await create(self._runner.server, backlog=BACKLOG, **self._where)


async def _stop_accepting(site: web.BaseSite, taken: socket.socket | None) -> None:
    if taken is not None:
        # asyncio loses a connection that it accepted in the turn in which its server closes
        asyncio.get_running_loop().remove_reader(taken.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
    await site.stop()


class _Farewell:
    """Lets a server's clients know that their connection will not be kept.

    Closing one that is idle, with a request on its way, would cost that request.
    """

    def __init__(self, runner: web.BaseRunner) -> None:
        if runner.server is None:
            raise TypeError("the runner is not set up")
        self._server = runner.server
        self._request = self._server.request_factory
        self._saying = False
        self._server.request_factory = self._made

    def _made(self, message: Any, *others: Any) -> web.BaseRequest:
        if self._saying:
            message = message._replace(should_close=True)
        return self._request(message, *others)

    async def say(self, seconds: float, *, quiet: float) -> None:
        """To each that asks once more; until they have gone, at most for so long."""
        self._saying = True
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        seen = loop.time()
        while loop.time() < min(end, seen + quiet):
            await asyncio.sleep(0.02)
            if self._server.connections:
                seen = loop.time()


def run(
    main: Callable[[asyncio.Event], Awaitable[None]],
    *,
    fast: bool = False,
    reload: asyncio.Event | None = None,
) -> None:
    """Run a process until SIGTERM or SIGINT sets the event that `main` is given.

    SIGHUP sets `reload`; without one it ends the process likewise, as when its terminal is closed,
    unless it was started to ignore that (`nohup`).

    `fast` takes uvloop where it is installed. Not for a process that starts programs: uvloop loses
    the race with a child that ends before its input is written (RuntimeError, handler is closed).
    """

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if reload is not None:
            loop.add_signal_handler(signal.SIGHUP, reload.set)
            # a supervisor starts us with it held back: what came meanwhile comes now
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, stop.set)
        await main(stop)

    with asyncio.Runner(loop_factory=_fast_loop if fast else None) as runner:
        runner.run(until_stopped())


def _fast_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # a platform without it
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


@asynccontextmanager
async def background(*work: Awaitable[None]) -> AsyncIterator[None]:
    """Run these for as long as the block runs; an error of one ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_as_coroutine(item)) for item in work]
        try:
            yield
        finally:
            await end(tasks)
            for item in work:
                if asyncio.iscoroutine(item):
                    item.close()  # one that the end met before its first step


async def end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel until they have ended: Python 3.11's `wait_for`, also in libraries, may lose one."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN)


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work
