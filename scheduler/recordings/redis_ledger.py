"""Sessions in Redis: a hash for each, a sorted set of when each is due.

One script saves: it compares the lease and the version, writes the hash and the schedule, and puts
a finding on the stream unless the hash says that this kind was told. So a finding is told exactly
once across crashes, restarts and leaders. Open sessions are also remembered in this process: a
store that came back empty gets them back.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace
from typing import Any, cast

import msgspec
import structlog

from agora_sidecar.entry import Fields, finding_fields
from agora_sidecar.keys import Keys
from agora_sidecar.store import Redis, Script, StoreError, store_errors
from scheduler.recordings.ledger import (
    Change,
    ConflictError,
    FencedError,
    SessionUnreadableError,
)
from scheduler.recordings.ledger_scripts import CLAIM, FORGET, POSTPONE, SAVE
from scheduler.recordings.record import from_hash, to_hash
from scheduler.recordings.remembered import Remembered
from scheduler.recordings.session import Session, State

log = structlog.get_logger()

LEASE = "recordings"
"""The lease under which findings are told."""

ADOPT_LIMIT = 100_000
"""Sessions looked at when a process begins to lead; far beyond any account's quota."""

AT_A_TIME = 200
"""Sessions loaded with one request."""

_FENCED, _CONFLICT = -1, -2

_FORGOTTEN = b"forgotten"
"""The one field of a hash that was forgotten on purpose: no process may write back its memory."""


class RedisLedger:
    """The ledger of one shard. `keep`: seconds that a closed recording stays."""

    def __init__(self, client: Redis, keys: Keys, *, keep: float) -> None:
        self._client = client
        self._keys = keys
        self._keep = keep
        self._save = Script(client, SAVE)
        self._postpone = Script(client, POSTPONE)
        self._forget = Script(client, FORGET)
        self._claim = Script(client, CLAIM)
        self.remembered = Remembered()

    async def load(self, sid: str) -> Session | None:
        """The session as last saved; from memory when the store has lost it."""
        try:
            with store_errors():
                found = await cast(
                    "Awaitable[dict[bytes, bytes]]", self._client.hgetall(self._keys.recording(sid))
                )
        except StoreError as error:
            if error.kind != "wrongtype":
                raise
            raise SessionUnreadableError(sid, error.detail) from error
        if _FORGOTTEN in found:
            self.remembered.drop(sid)
            return None
        if found:
            return from_hash(sid, found)
        remembered = self.remembered.get(sid)
        return replace(remembered, version=0) if remembered else None

    async def save(
        self, change: Change, *, due: float | None, now: float, token: str | None = None
    ) -> Session:
        """One step: compare lease and version, write, schedule, tell."""
        session = change.session
        sid = session.sid
        version = await self._save(
            keys=[
                *(self._keys.recording(sid), self._keys.due),
                *(self._keys.events, self._keys.lease(LEASE), self._keys.claim(sid)),
            ],
            args=[session.version, token or "", sid, *self._rest(change, due=due, now=now)],
        )
        if version == _FENCED:
            raise FencedError(f"recording {sid}: somebody else leads")
        if version == _CONFLICT:
            raise ConflictError(f"recording {sid}: somebody else saved first")
        session = replace(session, version=version)
        self.remembered.put(session, now=now)
        return session

    async def claim(self, sid: str, *, token: str, length: float) -> bool:
        """Whether nobody else calls for it now; ours for `length` seconds, or until saved."""
        taken = await self._claim(
            keys=[self._keys.lease(LEASE), self._keys.claim(sid)],
            args=[token, max(1, int(length * 1000))],
        )
        if taken == _FENCED:
            raise FencedError(f"recording {sid}: somebody else leads")
        return bool(taken)

    async def due(self, *, now: float, limit: int) -> list[str]:
        """The sids due by now, the oldest first."""
        return [sid for _, sid in await self.due_at(now=now, limit=limit)]

    async def due_at(self, *, now: float, limit: int) -> list[tuple[float, str]]:
        """When each was due that is due by now, and its sid, the oldest first."""
        with store_errors():
            found = await self._client.zrangebyscore(
                self._keys.due, "-inf", now, start=0, num=limit, withscores=True
            )
        pairs: list[tuple[float, str]] = []
        for sid, at in cast("list[tuple[bytes, float]]", found):
            try:
                pairs.append((at, sid.decode()))
            except UnicodeDecodeError:  # no sid of ours: it would be due for ever
                log.warning("recording.unreadable", sid=repr(sid), why="a sid on the schedule")
                with store_errors():
                    await self._client.zrem(self._keys.due, sid)
        return pairs

    async def next_due(self) -> float | None:
        """When the next one is due."""
        with store_errors():
            first = await self._client.zrange(self._keys.due, 0, 0, withscores=True)
        return float(first[0][1]) if first else None

    async def behind(self, *, now: float) -> int:
        """How many are due by now."""
        with store_errors():
            return int(await self._client.zcount(self._keys.due, "-inf", now))

    async def soon(self, *, by: float, limit: int) -> list[Session]:
        """Sessions that are due by then, the latest first."""
        with store_errors():
            found = await self._client.zrange(
                self._keys.due, by, "-inf", byscore=True, desc=True, offset=0, num=limit
            )
        sids = cast("list[bytes]", found)
        return await self._readables([sid.decode(errors="replace") for sid in sids])

    async def postpone(self, sid: str, until: float | None, *, version: int | None = None) -> None:
        """Look at it again then, or not at all, unless somebody saved meanwhile."""
        await self._postpone(
            keys=[self._keys.recording(sid), self._keys.due],
            args=[
                sid,
                "" if until is None else repr(until),
                "" if version is None else version,
            ],
        )

    async def all(self, *, limit: int) -> list[Session]:
        """Sessions found by a scan; at most `limit`."""
        return [session async for session in self._sessions(limit)]

    async def forget(self, sid: str) -> bool:
        """Drop it, and keep other processes from writing back what they remember."""
        known = await self._is_known(sid)
        self.remembered.drop(sid)
        await self._forget(
            keys=[self._keys.recording(sid), self._keys.due],
            args=[sid, self._ttl_ms if known else 0],
        )
        return known

    async def absent(self, sids: Sequence[str]) -> list[str]:
        """Those of which the store holds nothing, not even that they were forgotten."""
        there = await self._each(sids, "EXISTS")
        return [sid for sid, exists in zip(sids, there, strict=True) if not exists]

    async def restore(self, *, now: float) -> int:
        """Write back what this process knows to be open and the store has lost; due at once."""
        written = 0
        # what was not touched for so long may have been closed by others, and its hash expired
        for session in self.remembered.fresh(since=now - self._keep):
            try:
                await self.save(Change(replace(session, version=0)), due=now, now=now)
                written += 1
            except ConflictError:
                continue
        return written

    async def adopt(self, *, now: float) -> None:
        """Remember the open sessions, and put those on the schedule that are not: due at once."""
        unfinished = [s async for s in self._sessions(ADOPT_LIMIT) if not s.told]
        for session in unfinished:
            self.remembered.put(session, now=now)
        if unfinished:
            with store_errors():
                await self._client.zadd(
                    self._keys.due, {session.sid: now for session in unfinished}, nx=True
                )

    async def forget_told(self) -> None:
        """Drop from this process's memory what other processes closed or forgot."""
        sids = self.remembered.sids()
        over = await self._each(sids, "HMGET", "finding:closed", _FORGOTTEN.decode())
        for sid, marks in zip(sids, over, strict=True):
            if isinstance(marks, list) and any(mark is not None for mark in marks):
                self.remembered.drop(sid)

    def open_by_state(self) -> dict[State, int]:
        """How many open sessions this process knows of, by state."""
        return self.remembered.by_state()

    @property
    def _ttl_ms(self) -> int:
        return max(1, int(self._keep * 1000))

    def _rest(self, change: Change, *, due: float | None, now: float) -> list[Any]:
        session, finding = change.session, change.finding
        entry: Fields = []
        if finding is not None:
            entry = finding_fields(
                sid=session.sid,
                kind=finding.kind,
                number=1,
                source=session.source,
                cname=session.cname,
                uid=session.uid,
                data=finding.data,
                now_ms=int(now * 1000),
            )
        flat = [part for pair in to_hash(session).items() for part in pair]
        return [
            "" if due is None else repr(due),
            self._ttl_ms if session.told else 0,
            finding.kind if finding else "",
            # As text: Redis 7's cmsgpack knows no binary values
            msgspec.msgpack.encode([_text(part) for part in entry]),
            msgspec.msgpack.encode(flat),
        ]

    async def _sids(self) -> AsyncIterator[list[str]]:
        prefix, some = self._keys.recording(""), list[str]()
        with store_errors():
            async for key in self._client.scan_iter(match=_literal(prefix) + "*", count=500):
                some.append(key.decode(errors="replace").removeprefix(prefix))
                if len(some) == AT_A_TIME:
                    yield some
                    some = []
        yield some

    async def _sessions(self, limit: int) -> AsyncIterator[Session]:
        """At most `limit`, loaded many at a time: one after the other takes minutes."""
        async for sids in self._sids():
            for session in await self._readables(sids):
                if limit <= 0:
                    return
                limit -= 1
                yield session

    async def _readables(self, sids: Sequence[str]) -> list[Session]:
        hashes = await self._each(sids, "HGETALL")
        tried = [await self._readable(*pair) for pair in zip(sids, hashes, strict=True)]
        return [session for session in tried if session is not None]

    async def _each(self, sids: Sequence[str], command: str, *args: str) -> list[Any]:
        """The answer, or the server's error, about each recording."""
        found: list[Any] = []
        for start in range(0, len(sids), AT_A_TIME):
            with store_errors():
                pipeline = self._client.pipeline(transaction=False)
                for sid in sids[start : start + AT_A_TIME]:
                    pipeline.execute_command(command, self._keys.recording(sid), *args)
                found += await pipeline.execute(raise_on_error=False)
        return found

    async def _is_known(self, sid: str) -> bool:
        try:
            return await self.load(sid) is not None
        except SessionUnreadableError:
            return True

    async def _readable(self, sid: str, content: Any) -> Session | None:
        try:
            if not isinstance(content, dict) or not content or _FORGOTTEN in content:
                return await self.load(sid)  # which says what is wrong
            return from_hash(sid, content)
        except SessionUnreadableError as error:
            log.warning("recording.unreadable", sid=sid, why=error.why)
        return None


def _text(part: str | bytes) -> str:
    return part.decode() if isinstance(part, bytes) else part


def _literal(text: str) -> str:
    """A text as a pattern of SCAN that matches only itself."""
    return "".join("\\" + c if c in "*?[]\\" else c for c in text)
