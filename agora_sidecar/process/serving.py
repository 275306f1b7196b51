"""Listening and ending: what every process does around its own work."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

BACKLOG = 1024
"""Connections that the kernel accepts before the process does: a burst after a restart."""


CANCEL_AGAIN = 0.2
"""Seconds until a background task that did not end is cancelled again."""


class ListenError(Exception):
    """Nothing can listen there; the message says where and why."""

    def __init__(self, name: str, host: str, port: int, why: OSError) -> None:
        super().__init__(f"{name}: cannot listen on {host} port {port}: {why.strerror or why}")


@asynccontextmanager
async def listening(
    runner: web.BaseRunner,
    *,
    name: str,
    host: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    shared: bool = False,
) -> AsyncIterator[int]:
    """Serve on this address; yields the port (the system's choice for 0).

    `shared`: other processes may listen there too, and the kernel spreads connections.

    Leaving ends it gracefully: no new connections, then what is under way is finished within the
    runner's `shutdown_timeout`.

    Raises:
        ListenError: the address is taken, not ours, or not allowed. `name` says which setting.
    """
    await runner.setup()
    try:
        site = web.TCPSite(
            runner,
            *(host, port),
            ssl_context=tls,
            backlog=BACKLOG,
            reuse_address=True,
            reuse_port=shared or None,
        )
        try:
            await site.start()
        except OSError as error:
            raise ListenError(name, host, port, error) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def run(main: Callable[[asyncio.Event], Awaitable[None]], *, fast: bool = False) -> None:
    """Run a process until SIGTERM or SIGINT sets the event that `main` is given.

    `fast` takes uvloop where it is installed. Not for a process that starts programs: uvloop loses
    the race with a child that ends before its input is written (RuntimeError, handler is closed).
    """

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
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


async def end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel until they have ended: Python 3.11's `wait_for`, also in libraries, may lose one."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN)


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work
