"""Several processes of one kind on one host: started, started again when they die, ended together.

Each worker is the same command again, told its number by `WORKER`; what it listens on it shares
with the others (SO_REUSEPORT). Its standard input is a pipe of the supervisor's that ends with it:
a worker whose supervisor was killed ends itself.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from agora_sidecar.process.service_manager import Sockets

log = structlog.get_logger()

WORKER = "AGORA_SIDECAR_WORKER"
"""Environment: the number of this worker, from 0; not there in a process that is none."""
USAGE = 2
"""Exit code of a command that was started wrongly: to start it again would not help."""
SOON, LATE = 0.5, 30.0
"""Seconds between two starts of a worker that dies at once: the first, and the longest."""
STEADY = 10.0
"""Seconds after which a worker counts as having worked."""


def worker_number() -> int | None:
    """Which worker this process is; none: it is no worker."""
    found = os.environ.get(WORKER, "")
    return int(found) if found.isdigit() else None


def end_with_supervisor(stop: asyncio.Event) -> None:
    """Set `stop` when the supervisor has gone."""

    def gone() -> None:
        if not os.read(0, 1):
            asyncio.get_running_loop().remove_reader(0)
            stop.set()

    asyncio.get_running_loop().add_reader(0, gone)


async def supervise(
    stop: asyncio.Event,
    count: int,
    arguments: Sequence[str],
    *,
    sockets: Sockets | None = None,
    reload: asyncio.Event | None = None,
) -> int:
    """Keep `count` workers running until `stop` is set; the exit code.

    A worker that says that it was started wrongly ends all of them. `sockets` are passed on to
    each; when `reload` is set, each gets SIGHUP.
    """
    codes: list[int] = []
    running: dict[int, asyncio.subprocess.Process] = {}
    forwarding = asyncio.ensure_future(_forward(reload or asyncio.Event(), running))

    async def keep(number: int) -> None:
        pause = SOON
        while not stop.is_set():
            began = time.monotonic()
            process = await _start(number, arguments, sockets or Sockets())
            running[number] = process
            code = await _end(process, stop)
            del running[number]
            if stop.is_set():
                # ended by our signal before it listened to it: it has acknowledged nothing
                codes.append(0 if code == -signal.SIGTERM else code)
                return
            if code == USAGE:
                codes.append(code)
                stop.set()
                return
            pause = SOON if time.monotonic() - began > STEADY else min(pause * 2, LATE)
            log.error("worker.died", worker=number, code=code, again_in=pause)
            await _sleep(pause, stop)

    try:
        await asyncio.gather(*(keep(number) for number in range(count)))
    finally:
        forwarding.cancel()
    return max((abs(code) for code in codes), default=0) and (USAGE if USAGE in codes else 1)


async def _forward(
    reload: asyncio.Event, running: Mapping[int, asyncio.subprocess.Process]
) -> None:
    while True:
        await reload.wait()
        reload.clear()
        for process in list(running.values()):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGHUP)


async def _start(
    number: int, arguments: Sequence[str], sockets: Sockets
) -> asyncio.subprocess.Process:
    # a SIGHUP before the worker listens to it would end it: it inherits the signal held back. (The
    # program is started before anything else runs on this loop, so several starts do not mix.)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agora_sidecar",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            env=os.environ | sockets.environment(pid=os.getpid()) | {WORKER: str(number)},
            pass_fds=sockets.descriptors,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    log.info("worker.started", worker=number, pid=process.pid)
    return process


async def _end(process: asyncio.subprocess.Process, stop: asyncio.Event) -> int:
    ended = asyncio.ensure_future(process.wait())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ended.done():
        process.send_signal(signal.SIGTERM)
    return await ended


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
