"""All recordings of an account: what runs, what happens next, who publishes where (pure)."""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator

from agora_sidecar.agora.recordings import WEB
from agora_sidecar.emulator.studio.catalogue import Told
from agora_sidecar.emulator.studio.message import Message
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.recorder import Recorder, Stamp
from agora_sidecar.emulator.studio.task import RUNNING, Task, begin, publish
from agora_sidecar.emulator.studio.truth import Truth

MAX_TASKS = 1000
"""Recordings at a time; the vendor's quotas are smaller, ours protects the machine."""
MAX_SILENT_CHANNELS = 10_000


class Studio:
    """Recordings by sid, each until nothing more will be heard of it.

    Whatever is done is done at a time, `now`; what was due before happens first. Messages wait for
    the next `advance`. `enter` gets the truth of every recording, which stays true; `changed` is
    called when something was done.
    """

    def __init__(
        self,
        *,
        stamp: Stamp,
        enter: Callable[[Truth], None] = lambda _: None,
        room: int = MAX_TASKS,
        by_module: bool = False,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._enter = enter
        self._stamp = stamp
        self._room = room
        self._by_module = by_module
        self.changed = changed
        self._recorders: dict[str, Recorder] = {}
        self._running: dict[tuple[str, str], Recorder] = {}
        self._agenda: list[tuple[float, int, Recorder]] = []
        self._entered = 0
        self._silent: set[str] = set()
        self._messages: list[Message] = []

    def __iter__(self) -> Iterator[Recorder]:
        return iter(self._recorders.values())

    @property
    def full(self) -> bool:
        """Whether no more recordings have room."""
        return len(self._recorders) >= self._room

    def occupied(self, cname: str, uid: str, now: float) -> bool:
        """Whether this channel is being recorded by this uid."""
        self._catch_up(now)
        recorder = self._running.get((cname, uid))
        return recorder is not None and recorder.task.status in RUNNING

    def start(self, plan: Plan, now: float) -> Recorder:
        """Start a recording; the caller has asked for room and conflicts."""
        self._catch_up(now)
        publisher = plan.mode == WEB or plan.cname not in self._silent
        task = begin(plan, now, publisher=publisher)
        truth = Truth(
            sid=plan.sid,
            resource_id=plan.resource_id,
            cname=plan.cname,
            uid=plan.uid,
            mode=plan.mode,
            started=self._stamp(now) / 1000,
            status=task.status,
        )
        self._enter(truth)
        recorder = Recorder(plan, task, truth=truth, stamp=self._stamp, by_module=self._by_module)
        self._recorders[plan.sid] = recorder
        self._running[plan.cname, plan.uid] = recorder
        self._schedule(recorder)
        self.changed()
        return recorder

    def find(self, sid: str, now: float) -> Recorder | None:
        """The recording as it is now, or None when nobody has it any more."""
        self._catch_up(now)
        return self._recorders.get(sid)

    def act(self, recorder: Recorder, task: Task, now: float, told: Iterable[Told] = ()) -> None:
        """Make somebody's doing true of a recording that `find` found at the same time."""
        self._messages += recorder.act(task, now, told)
        self._schedule(recorder)
        self.changed()

    def publish(self, cname: str, *, present: bool, now: float) -> None:
        """Say whether anybody publishes in a channel, now and later; at first, yes."""
        self._catch_up(now)
        if present:
            self._silent.discard(cname)
        elif len(self._silent) < MAX_SILENT_CHANNELS:
            self._silent.add(cname)
        for recorder in list(self._recorders.values()):
            if recorder.plan.cname == cname and recorder.plan.mode != WEB:
                self.act(recorder, publish(recorder.task, present=present, now=now), now)

    def next_due(self) -> float | None:
        """When something happens next by itself; None: nothing, until somebody acts."""
        while self._agenda and self._agenda[0][0] != self._agenda[0][2].due:
            heapq.heappop(self._agenda)
        return self._agenda[0][0] if self._agenda else None

    def advance(self, now: float) -> list[Message]:
        """Everything that was told until now and not yet taken, in the order of time."""
        self._catch_up(now)
        messages, self._messages = self._messages, []
        return messages

    def _catch_up(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            recorder = heapq.heappop(self._agenda)[2]
            try:
                self._messages += recorder.step()
            except Exception:
                recorder.give_up()  # the others go on
                raise
            finally:
                self._schedule(recorder)

    def _schedule(self, recorder: Recorder) -> None:
        plan = recorder.plan
        if recorder.forgotten:
            self._recorders.pop(plan.sid, None)
        if recorder.left and self._running.get((plan.cname, plan.uid)) is recorder:
            del self._running[plan.cname, plan.uid]
        if recorder.due < math.inf:
            self._entered += 1
            heapq.heappush(self._agenda, (recorder.due, self._entered, recorder))
