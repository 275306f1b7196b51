"""The vendor on the virtual clock: the emulator's account without sockets, and who knows the truth."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from agora_sidecar.emulator.account import Account, Path
from agora_sidecar.emulator.answers import Refusal, no_route, too_fast
from agora_sidecar.emulator.callbacks import Callbacks, Post
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.gate import Bucket
from agora_sidecar.emulator.journal import Journal
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.studio.studio import Studio
from agora_sidecar.emulator.studio.task import ADRIFT, RUNNING
from agora_sidecar.emulator.studio.truth import Truth
from agora_sidecar.process.clock import Clock

APP_ID = "app"
SECRET = "notification-secret"
PER_SECOND = 10.0
"""Requests a second that an account has."""
ROOM = 5000
FAILOVER = 12

Answer = tuple[int, bytes]


class Vendor:
    """One account. `post` takes its callbacks, `on_adrift` how long a recording had no worker."""

    def __init__(
        self,
        *,
        seed: int,
        clock: Clock,
        faults: Faults,
        post: Post,
        on_adrift: Callable[[str, float], None],
    ) -> None:
        self.journal = Journal()
        self._on_adrift = on_adrift
        self._pace = Pace(clock, 1.0)
        self._bucket = Bucket(PER_SECOND)
        self._callbacks = Callbacks(
            secret=SECRET,
            seed=seed,
            pace=self._pace,
            journal=self.journal,
            post=post,
            addresses=lambda: ("127.0.0.1",),
            faults=lambda: faults,
        )
        zero = clock.now() - clock.monotonic()
        self._studio = Studio(
            stamp=lambda at: int((zero + at) * 1000),
            enter=self.journal.add_recording,
            room=ROOM,
            changed=self._look,
        )
        self._account = Account(
            app_id=APP_ID, seed=seed, studio=self._studio, faults=lambda: faults
        )
        self._alarm: asyncio.Handle | None = None

    def call(self, name: str, path: Path, body: bytes) -> Answer:
        """Status and body of its answer."""
        try:
            if not self._bucket.take(self._pace.elapsed()):
                raise too_fast()
            return 200, msgspec.json.encode(self._answer(name, path, body))
        except Refusal as refusal:
            return refusal.status, msgspec.json.encode(refusal.body)

    def truth(self, sid: str) -> Truth | None:
        """How a recording really is."""
        return self.journal.recordings.get(sid)

    def runs(self, sid: str) -> bool:
        """Whether it records, or will go on to: another worker will take it."""
        truth = self.truth(sid)
        return truth is not None and (truth.status in RUNNING or truth.status == ADRIFT)

    def publish(self, cname: str, *, present: bool) -> None:
        """Somebody publishes in a channel, or nobody does any more."""
        self._studio.publish(cname, present=present, now=self._pace.elapsed())

    async def close(self) -> None:
        """Send nothing more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._studio.changed = lambda: None
        await self._callbacks.close()

    def _answer(self, name: str, path: Path, body: bytes) -> dict[str, Any]:
        now, account = self._pace.elapsed(), self._account
        if name == "query":
            return account.query(path, now)
        if name == "stop":
            recorder, _ = account.stop(path, body, now)
            return account.stopped(recorder)
        begins: dict[str, Callable[[Path, bytes, float], dict[str, Any]]] = {
            "acquire": account.acquire,
            "start": account.start,
        }
        if name not in begins:
            raise no_route()
        return begins[name](path, body, now)

    def _look(self) -> None:
        """Hand on what is told, and look again when more is due."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_soon(self._advance)

    def _advance(self) -> None:
        for message in self._studio.advance(self._pace.elapsed()):
            self._callbacks.send(message)
            if message.event_type == FAILOVER:
                recorder = self._studio.find(message.sid, self._pace.elapsed())
                self._on_adrift(message.sid, recorder.plan.luck.adrift if recorder else 0.0)
        due = self._studio.next_due()
        self._alarm = None
        if due is not None:
            self._alarm = asyncio.get_running_loop().call_at(due, self._advance)
