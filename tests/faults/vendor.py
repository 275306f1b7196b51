"""The vendor: recordings whose events are posted in order, with its time-out and its retries.

A retry has the same `noticeId` and a new `notifyMs`, so another body and signature. An event is
acknowledged as soon as one attempt was answered 200, whatever else was answered.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults.bodies import body, signed
from tests.faults.oracle import Notice
from tests.faults.wire import Answer, Wire

PATH = "/ncs"
RECORDINGS = 24
RETRY_AFTER = (0.0, 0.3, 0.9)
"""Seconds before each of the three retries; the first at once, then at growing intervals."""
AGAIN = 0.03
"""Share of the acknowledged events that are delivered once more, as the vendor does at times."""
FORGED = 0.02
"""Share of the events beside which somebody without a secret sends one of his own."""
PER_CONNECTION = 100
"""Requests at most on one connection, as the vendor recommends."""
SAFE = frozenset({"stored", "duplicate", "spooled", "cut"})
"""What a 200 may say; of `cut` only the status came through, which is all the vendor looks at."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the timeline tells of one request, in seconds since the traffic began."""

    notice_id: str
    sent: float
    took: float
    answer: str


class Vendor:
    """Everything that is sent in one seed, and what came back."""

    def __init__(self, port: int, *, seed: int, rate: float, timeout: float) -> None:
        self._port = port
        self._seed = seed
        self._gap = RECORDINGS / rate
        self._timeout = timeout
        self._rng = Random(f"vendor {seed}")
        self._jobs: set[asyncio.Task[None]] = set()
        self._last_ms = 0
        self.began = time.monotonic()
        self.issued: dict[str, Notice] = {}
        self.attempts: list[Attempt] = []
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        """Answers that nobody may get, in words."""

    async def run(self, seconds: float) -> None:
        """Post the events of all recordings; retries may still be under way at the end."""
        self.began = time.monotonic()
        end = self.began + seconds
        await asyncio.gather(*(self._recording(number, end) for number in range(RECORDINGS)))

    async def settled(self) -> None:
        """Return when no retry is under way."""
        while self._jobs:
            await asyncio.gather(*self._jobs)

    async def deliver_again(self, count: int) -> None:
        """Send some acknowledged events once more."""
        known = [notice for notice in self.issued.values() if notice.acknowledged]
        chosen = self._rng.sample(known, min(count, len(known)))
        wires = [self._wire() for _ in range(8)]
        for place in range(0, len(chosen), len(wires)):
            part = chosen[place : place + len(wires)]
            await asyncio.gather(
                *(self.attempt(n, wire) for n, wire in zip(part, wires, strict=False))
            )
        for wire in wires:
            wire.close()

    async def fresh(self, *, within: float) -> Notice | None:
        """A new event, offered until it is acknowledged; None if it is not within these seconds."""
        notice = self._notice(Random(f"fresh {self._seed}"), sid="fresh", number=0)
        wire = self._wire()
        end = time.monotonic() + within
        while time.monotonic() < end:
            if await self.attempt(notice, wire):
                wire.close()
                return notice
            await asyncio.sleep(0.05)
        wire.close()
        return None

    async def attempt(self, notice: Notice, wire: Wire) -> bool:
        """One attempt; whether it was answered 200."""
        # later than the one before, even within a millisecond: no two attempts have the same bytes
        self._last_ms = max(int(time.time() * 1000), self._last_ms + 1)
        data = body(
            notice.notice_id,
            sid=notice.sid,
            number=notice.number,
            notify_ms=self._last_ms,
        )
        notice.bodies.append(data)
        answer = await self._post(notice.notice_id, wire, data, signed(data))
        safe = answer.status == 200
        self._require(answer, lambda: answer.word in SAFE if safe else answer.status in {0, 503})
        notice.acknowledged |= safe
        return safe

    async def _recording(self, number: int, end: float) -> None:
        rng = Random(f"recording {self._seed} {number}")
        sid = f"{rng.getrandbits(128):032x}"
        wire, left = self._wire(), rng.randrange(1, PER_CONNECTION)
        due = time.monotonic() + rng.uniform(0, self._gap)
        count = 0
        while due < end and time.monotonic() < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += self._gap * rng.uniform(0.5, 1.5)
            notice = self._notice(rng, sid=sid, number=count)
            count += 1
            if not await self.attempt(notice, wire):
                self._start(self._retry(notice))
            elif rng.random() < AGAIN:
                self._start(self._again(notice, after=rng.uniform(0, 0.6)))
            if rng.random() < FORGED:
                self._start(self._forged(rng))
            left -= 1
            if not left:
                wire.close()
                left = rng.randrange(1, PER_CONNECTION)
        wire.close()

    async def _retry(self, notice: Notice) -> None:
        for pause in RETRY_AFTER:
            await asyncio.sleep(pause)
            wire = self._wire()
            safe = await self.attempt(notice, wire)
            wire.close()
            if safe:
                return

    async def _again(self, notice: Notice, *, after: float) -> None:
        await asyncio.sleep(after)
        wire = self._wire()
        await self.attempt(notice, wire)
        wire.close()

    async def _forged(self, rng: Random) -> None:
        notice_id = f"forged-{rng.getrandbits(64):x}"
        data = body(notice_id, sid="forged", number=0, notify_ms=self._last_ms)
        wire = self._wire()
        answer = await self._post(notice_id, wire, data, signed(data, secret="nobody's"))
        wire.close()
        self._require(answer, lambda: answer.status in {0, 401})

    async def _post(
        self, notice_id: str, wire: Wire, data: bytes, headers: dict[str, str]
    ) -> Answer:
        sent = time.monotonic()
        answer = await wire.post(PATH, data, headers)
        took = time.monotonic() - sent
        self.attempts.append(Attempt(notice_id, sent - self.began, took, str(answer)))
        self.answers[str(answer)] += 1
        return answer

    def _require(self, answer: Answer, right: Callable[[], bool]) -> None:
        if not right():
            self.wrong.append(f"{answer} to {self.attempts[-1].notice_id}")

    def _notice(self, rng: Random, *, sid: str, number: int) -> Notice:
        notice = Notice(f"{rng.getrandbits(128):032x}", sid, number)
        self.issued[notice.notice_id] = notice
        return notice

    def _wire(self) -> Wire:
        return Wire(self._port, timeout=self._timeout)

    def _start(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
