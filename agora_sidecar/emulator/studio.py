"""All recordings of the account: who may start, what runs, who publishes where."""

import asyncio

from agora_sidecar.emulator import tasks
from agora_sidecar.emulator.answers import conflict, no_worker, overloaded
from agora_sidecar.emulator.bodies import Facts
from agora_sidecar.emulator.callbacks import Callbacks
from agora_sidecar.emulator.faults import Faults, dice
from agora_sidecar.emulator.journal import Journal, Truth
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.recorders import Recorder
from agora_sidecar.emulator.requests import Wishes
from agora_sidecar.emulator.tasks import Task

MAX_TASKS = 1000
"""Recordings at a time; the vendor's quotas are smaller, ours protects the machine."""
MAX_SILENT_CHANNELS = 10_000


class Studio:
    """Workers by sid. A recording is found until it is gone."""

    def __init__(self, *, seed: int, pace: Pace, journal: Journal, callbacks: Callbacks) -> None:
        self._seed = seed
        self._pace = pace
        self._journal = journal
        self._callbacks = callbacks
        self._recorders: dict[str, Recorder] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._silent: set[str] = set()
        self._started = 0
        self._open = True

    def demand_room(self) -> None:
        """Refuse when too many recordings run.

        Raises:
            Refusal: 400 with code 406.
        """
        if not self._open or len(self._recorders) >= MAX_TASKS:
            raise overloaded()

    def start(
        self, resource_id: str, wishes: Wishes, *, cname: str, uid: str, faults: Faults
    ) -> Facts:
        """Start recording a channel.

        Raises:
            Refusal: this channel is being recorded by the same uid (53), or there is no room (406).
        """
        self.demand_room()
        if any(self._occupies(recorder, cname, uid) for recorder in self._recorders.values()):
            raise conflict()
        self._started += 1
        roll = dice(self._seed, "recording", self._started)
        facts = Facts(
            cname=cname,
            uid=uid,
            resource_id=resource_id,
            sid=f"{roll.getrandbits(128):032x}",
            mp4=wishes.mp4,
            prefix=wishes.prefix,
            backup=roll.random() < faults.backup,
        )
        task = Task(
            publisher=cname not in self._silent,
            max_idle=wishes.max_idle,
            ending=roll.choice(tasks.ENDINGS),
        )
        self._run(facts, tasks.begin(task, self._pace.elapsed()))
        return facts

    def find(self, sid: str, *, resource_id: str) -> Recorder:
        """The worker of a recording.

        Raises:
            Refusal: 404 with code 404: nobody has this task.
        """
        recorder = self._recorders.get(sid)
        if recorder is None or recorder.facts.resource_id != resource_id:
            raise no_worker()
        return recorder

    def publish(self, cname: str, *, present: bool) -> None:
        """Say whether anybody publishes in a channel, now and later; at first, yes."""
        if present:
            self._silent.discard(cname)
        elif len(self._silent) < MAX_SILENT_CHANNELS:
            self._silent.add(cname)
        for recorder in self._recorders.values():
            if recorder.facts.cname == cname:
                recorder.publish(present=present)

    async def close(self) -> None:
        """End every worker and wait for it; nothing starts any more."""
        self._open = False
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    def _run(self, facts: Facts, task: Task) -> None:
        truth = Truth(
            sid=facts.sid,
            resource_id=facts.resource_id,
            cname=facts.cname,
            uid=facts.uid,
            started=self._pace.now(),
            status=task.status,
        )
        self._journal.add_recording(truth)
        recorder = Recorder(facts, task, truth=truth, pace=self._pace, tell=self._callbacks.send)
        self._recorders[facts.sid] = recorder
        job = asyncio.create_task(recorder.run())
        self._jobs.add(job)
        job.add_done_callback(lambda job: self._forget(facts.sid, job))

    def _forget(self, sid: str, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self._recorders.pop(sid, None)

    @staticmethod
    def _occupies(recorder: Recorder, cname: str, uid: str) -> bool:
        running = recorder.task.status in tasks.RUNNING
        return running and (recorder.facts.cname, recorder.facts.uid) == (cname, uid)
