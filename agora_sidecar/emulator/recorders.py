"""The vendor's workers: each runs one task through its life and tells of it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from agora_sidecar.agora.recordings import EXITED
from agora_sidecar.emulator import tasks
from agora_sidecar.emulator.bodies import EVENTS, Facts, details, message_name, payload
from agora_sidecar.emulator.callbacks import Message
from agora_sidecar.emulator.journal import Truth
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.tasks import Task

log = structlog.get_logger()


class Recorder:
    """One task and its worker. `facts`, `task` are what is true now; `truth` is the journal's copy.

    `left` is set once the task has exited, its last event told; `tell` takes its messages.
    """

    def __init__(
        self, facts: Facts, task: Task, *, truth: Truth, pace: Pace, tell: Callable[[Message], None]
    ) -> None:
        self.facts = facts
        self.task = task
        self.left = asyncio.Event()
        self._truth = truth
        self._pace = pace
        self._tell = tell
        self._sequence = 0
        self._changed = asyncio.Event()

    def stop(self) -> None:
        """Begin to leave.

        Raises:
            TransitionError: it is leaving already, or gone.
        """
        self._set(tasks.stop(self.task, self._pace.elapsed()))
        self._changed.set()

    def publish(self, *, present: bool) -> None:
        """Somebody publishes in the channel, or nobody does any more."""
        self.task = tasks.publish(self.task, present=present, now=self._pace.elapsed())
        self._changed.set()

    async def run(self) -> None:
        """Live until the task is gone."""
        try:
            while self.task.status != tasks.GONE:
                await self._next()
        except Exception:
            log.exception("emulator.recorder_failed", sid=self.facts.sid)
            self._set(replace(self.task, status=tasks.GONE))
        finally:
            self.left.set()

    async def _next(self) -> None:
        step = tasks.next_step(self.task)
        if step is not None and step.at <= self._pace.elapsed():
            self._take(step)
            return
        self._changed.clear()
        await self._pause(None if step is None else step.at - self._pace.elapsed())

    async def _pause(self, seconds: float | None) -> None:
        waits = [asyncio.create_task(self._wake())]
        if seconds is not None:
            waits.append(asyncio.create_task(self._pace.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _wake(self) -> None:
        await self._changed.wait()

    def _take(self, step: tasks.Step) -> None:
        ending = step.task.status in tasks.LEAVING
        if step.task.recorded and self.facts.slice_start_ms is None:
            self.facts = replace(self.facts, slice_start_ms=self._pace.now_ms())
        self._set(step.task)
        for event in step.events:
            self._emit(event, ending=ending)
        if step.task.status in {EXITED, tasks.GONE}:
            self.left.set()

    def _emit(self, event: str, *, ending: bool) -> None:
        name = message_name(event, self.facts)
        now_ms = self._pace.now_ms()
        told = details(
            name,
            self.facts,
            leave_code=self.task.leave_code,
            hearing=self.task.hearing,
            now_ms=now_ms,
        )
        sequence, self._sequence = self._sequence, self._sequence + 1
        body = payload(name, self.facts, sequence=sequence, sent_ms=now_ms, details=told)
        facts = self.facts
        self._tell(Message(facts.sid, facts.cname, EVENTS[name][0], sequence, body, ending))

    def _set(self, task: Task) -> None:
        self.task = task
        self._truth.status = task.status
        if task.status in {EXITED, tasks.GONE} and self._truth.ended is None:
            self._truth.ended = self._pace.now()
