"""Delivery of notices: signed attempts, retries, and the faults that happen on the way.

At most four attempts of a notice, each answered with exactly 200 within 10 s or it failed; the
first retry at once, then at growing intervals (Docs-Source `_notification_center_service.mdx`; the
intervals are documented nowhere, these are ours). Every attempt has a new `notifyMs` and so new
signatures. The first attempts of one recording go out one after another unless a fault takes one
out of the line.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from agora_sidecar.agora.signatures import sign
from agora_sidecar.emulator.envelopes import envelope
from agora_sidecar.emulator.fates import Fate, decide
from agora_sidecar.emulator.faults import Faults, dice
from agora_sidecar.emulator.journal import Journal, Notice
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.studio.catalogue import NAMES
from agora_sidecar.emulator.studio.message import Message, check_payload

ANSWER_WITHIN = 10.0
"""Seconds the other side has for an answer."""
RETRY_AFTER = (0.0, 5.0, 20.0)
"""Seconds before each of the three retries."""
MAX_AT_ONCE = 64
MAX_WAITING = 10_000
"""Notices not yet done with; beyond it new ones are lost, as they are at the vendor."""

log = structlog.get_logger()


class Post(Protocol):
    """Sends one attempt."""

    def __call__(
        self, body: bytes, headers: dict[str, str], *, source: str
    ) -> Awaitable[int | None]:
        """The answer's HTTP status; None for no answer."""
        ...


@dataclass(slots=True)
class _Parcel:
    """A message on its way; `gone` is set once its first attempt is over."""

    message: Message
    notice: Notice
    fate: Fate
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    notify_ms: int = 0


class Callbacks:
    """Everything on its way to the other side; `addresses` and `faults` tell what holds now.

    Without a `post` there is no other side: notices are only written down.
    """

    def __init__(
        self,
        *,
        secret: str,
        seed: int,
        pace: Pace,
        journal: Journal,
        post: Post | None,
        addresses: Callable[[], tuple[str, ...]],
        faults: Callable[[], Faults],
    ) -> None:
        self._secret = secret.encode()
        self._seed = seed
        self._pace = pace
        self._journal = journal
        self._post = post
        self._addresses = addresses
        self._faults = faults
        self._dice = dice(seed, "check")
        self._lines: dict[str, asyncio.Event] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        self._settled = asyncio.Event()
        self._settled.set()

    def send(self, message: Message) -> None:
        """Take a message on its way, on both ways if fate has it so; returns at once."""
        parcel = self._parcel(message)
        self._dispatch(parcel)
        if parcel.fate.redundant:
            self._dispatch(self._parcel(message, way=2))

    def _dispatch(self, parcel: _Parcel) -> None:
        message = parcel.message
        self._journal.add_notice(parcel.notice)
        if parcel.notice.lost or self._post is None:
            return
        before = None
        if parcel.fate.hold is None:
            before = self._lines.get(message.sid)
            self._lines[message.sid] = parcel.gone
        job = asyncio.create_task(self._deliver(parcel, before, self._post))
        self._jobs.add(job)
        self._settled.clear()
        job.add_done_callback(self._done)

    async def check(self) -> dict[int, int | None]:
        """What the console does before it saves: one test event of each type, sent once.

        The HTTP status each was answered, None for no answer. Not part of the journal.
        """
        answers: dict[int, int | None] = {}
        for number in NAMES:
            if self._post is None:
                break
            body = envelope(
                f"{self._dice.getrandbits(128):032x}",
                event_type=number,
                notify_ms=self._pace.now_ms(),
                payload=check_payload(number, self._pace.now_ms()),
                sid=None,
            )
            source = self._dice.choice(self._addresses())
            answers[number] = await self._post(body, sign(self._secret, body), source=source)
        return answers

    async def settled(self) -> None:
        """Return when no delivery is under way or scheduled."""
        await self._settled.wait()

    async def close(self) -> None:
        """Drop what is on its way and wait until nothing runs."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    def _parcel(self, message: Message, way: int = 1) -> _Parcel:
        faults = self._faults()
        muted = faults.mutes(
            (message.sid, message.cname), ordinal=message.ordinal, ending=message.ending
        )
        roll = dice(self._seed, "notice", message.sid, message.ordinal, way)
        notice_id = f"{roll.getrandbits(128):032x}"
        fate = decide(faults, roll, muted=muted)
        overflow = len(self._jobs) >= MAX_WAITING
        if overflow:
            log.warning("emulator.overflow", waiting=len(self._jobs), sid=message.sid)
        notice = Notice(
            notice_id=notice_id,
            sid=message.sid,
            event_type=message.event_type,
            ordinal=message.ordinal,
            lost=fate.lost or overflow,
        )
        return _Parcel(message, notice, fate)

    async def _deliver(self, parcel: _Parcel, before: asyncio.Event | None, post: Post) -> None:
        try:
            if before is not None:
                await before.wait()
            await self._pace.sleep(parcel.fate.hold or 0.0)
            await self._carry(parcel, post)
        except Exception:
            # the emulator goes on with the other notices
            log.exception("emulator.delivery_failed", notice_id=parcel.notice.notice_id)
        finally:
            parcel.gone.set()
            if self._lines.get(parcel.message.sid) is parcel.gone:
                del self._lines[parcel.message.sid]

    async def _carry(self, parcel: _Parcel, post: Post) -> None:
        acknowledged = await self._attempt(parcel, post)
        parcel.gone.set()
        for pause in RETRY_AFTER:
            if acknowledged:
                break
            await self._pace.sleep(pause)
            acknowledged = await self._attempt(parcel, post)
        if not acknowledged:
            parcel.notice.gave_up = True
            self._journal.gave_up += 1
        elif parcel.fate.again is not None:
            await self._pace.sleep(parcel.fate.again)
            self._journal.duplicates_sent += 1
            await self._attempt(parcel, post)

    async def _attempt(self, parcel: _Parcel, post: Post) -> bool:
        async with self._at_once:
            notice = parcel.notice
            body = self._body(parcel)
            roll = dice(self._seed, "source", notice.notice_id, len(notice.bodies))
            source = roll.choice(self._addresses())
            attempt = self._journal.add_attempt(notice, body, source=source)
            status = await post(body, sign(self._secret, body), source=source)
            self._journal.add_answer(notice, attempt, status=status)
            return status == 200

    def _body(self, parcel: _Parcel) -> bytes:
        # later than the one before even within a millisecond: no two attempts have the same bytes
        parcel.notify_ms = max(self._pace.now_ms(), parcel.notify_ms + 1)
        message = parcel.message
        return envelope(
            parcel.notice.notice_id,
            event_type=message.event_type,
            notify_ms=parcel.notify_ms,
            payload=message.payload,
            sid=message.sid if parcel.fate.top_level_sid else None,
        )

    def _done(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not self._jobs:
            self._settled.set()
