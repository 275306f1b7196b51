"""One task taken through its life: time passes, somebody acts, it tells (pure)."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from agora_sidecar.emulator.studio.catalogue import CATALOGUE, Told
from agora_sidecar.emulator.studio.message import Message, payload
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.rules import next_rule
from agora_sidecar.emulator.studio.task import ADRIFT, ENDED, GONE, LEAVING, Moment, Task, change
from agora_sidecar.emulator.studio.truth import Truth

Stamp = Callable[[float], int]
"""Unix milliseconds of one of the vendor's seconds."""

TOLD_TWICE = frozenset({"uploaded", "backuped", "session_exit"})
"""What both the first worker's uid and the last one's tell after a fail-over."""


class Recorder:
    """One task and its worker. `due` is when something happens by itself, infinite if never.

    `by_module` numbers what it tells by the module that speaks, not all together: the vendor
    documents neither. `wishes` holds what `update` and `updateLayout` last asked for.
    """

    def __init__(
        self, plan: Plan, task: Task, *, truth: Truth, stamp: Stamp, by_module: bool = False
    ) -> None:
        self.plan = plan
        self.task = task
        self.truth = truth
        self.wishes: dict[str, Any] = {}
        self.due, self._rule = next_rule(plan, task)
        self._stamp = stamp
        self._told = 0
        self._by_module = by_module
        self._sequences: dict[tuple[str, int], int] = {}

    @property
    def left(self) -> bool:
        """Whether it has ended, its last event told."""
        return self.task.status in ENDED

    @property
    def forgotten(self) -> bool:
        """Whether nothing of it will ever be heard again."""
        return self.task.status == GONE and self.due == math.inf

    def found(self, now: float) -> bool:
        """Whether the API finds it."""
        present = self.task.status not in {GONE, ADRIFT}
        return present and now < self.task.began + self.plan.expires

    def step(self) -> list[Message]:
        """Let the next thing happen that is due; what tells of it."""
        now = Moment(self.due, self._stamp(self.due))
        task, told = self._rule.happen(self.plan, self.task, now)
        return self._take(task, told, now)

    def give_up(self) -> None:
        """What should not have happened did: there is no task any more, and no word of it."""
        self.task = change(self.task, status=GONE)
        self.truth.status = GONE
        self.due = math.inf

    def act(self, task: Task, now: float, told: Iterable[Told] = ()) -> list[Message]:
        """Make somebody's doing true; what tells of it."""
        return self._take(task, told, Moment(now, self._stamp(now)))

    def _take(self, task: Task, told: Iterable[Told], now: Moment) -> list[Message]:
        before, self.task = self.task, task
        due, self._rule = next_rule(self.plan, task)
        # what became due while it could not happen, happens now
        self.due = max(due, now.at)
        self.truth.status = task.status
        if task.status in ENDED and self.truth.ended is None:
            self.truth.ended = now.ms / 1000
        messages: list[Message] = []
        for name, details in told:
            # 12 is told of the worker that was lost
            uid = before.uid if name == "session_failover" else task.uid
            messages.append(self._message(name, details, uid=uid, ms=now.ms))
            if task.switches and name in TOLD_TWICE:
                messages.append(self._message(name, details, uid=self.plan.uid, ms=now.ms))
        return messages

    def _message(self, name: str, details: dict[str, Any], *, uid: str, ms: int) -> Message:
        lane = (uid, CATALOGUE[name].module if self._by_module else 0)
        sequence = self._sequences.get(lane, 0)
        self._sequences[lane] = sequence + 1
        self._told += 1
        self.truth.events.append(CATALOGUE[name].number)
        return Message(
            sid=self.plan.sid,
            cname=self.plan.cname,
            event_type=CATALOGUE[name].number,
            ordinal=self._told,
            sequence=sequence,
            payload=payload(self.plan, name, details, uid=uid, sequence=sequence, ms=ms),
            ending=self.task.status in LEAVING | ENDED,
        )
