"""Takes the studio along real time: wakes when something is due, hands on what is told."""

import asyncio
from collections.abc import Callable

import structlog

from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.studio.message import Message
from agora_sidecar.emulator.studio.studio import Studio

log = structlog.get_logger()


class Clockwork:
    """One job for all recordings; `tell` takes what they tell."""

    def __init__(self, studio: Studio, *, pace: Pace, tell: Callable[[Message], None]) -> None:
        self._studio = studio
        self._pace = pace
        self._tell = tell
        self._touched = asyncio.Event()
        self._moved = asyncio.Event()
        self._job: asyncio.Task[None] | None = None
        self._open = True
        studio.changed = self._touched.set

    @property
    def running(self) -> bool:
        """Whether it has not been closed."""
        return self._open

    def start(self) -> None:
        """Begin to run, in a task of the running event loop."""
        self._job = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stand still for ever; whoever waits is let go."""
        self._open = False
        self._moved.set()
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

    async def until(self, holds: Callable[[], bool], *, at_most: float) -> bool:
        """Wait until it holds, at most so many of the vendor's seconds; whether it does."""
        deadline = asyncio.create_task(self._pace.sleep(at_most))
        try:
            while self._open and not holds() and not deadline.done():
                moved = asyncio.create_task(self._moved.wait())
                await asyncio.wait({moved, deadline}, return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
            return holds()
        finally:
            deadline.cancel()

    async def _run(self) -> None:
        while True:
            self._touched.clear()
            self._advance()
            await self._pause()

    def _advance(self) -> None:
        try:
            for message in self._studio.advance(self._pace.elapsed()):
                self._tell(message)
        except Exception:
            # the emulator goes on with the other recordings
            log.exception("emulator.recorder_failed")
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _pause(self) -> None:
        due = self._studio.next_due()
        waits = [asyncio.create_task(self._touch())]
        if due is not None:
            waits.append(asyncio.create_task(self._pace.sleep(due - self._pace.elapsed())))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _touch(self) -> None:
        await self._touched.wait()
