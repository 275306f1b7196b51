"""The reader of all shards as a member of a group, and what it hands out."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import structlog

from agora_sidecar.consumer.lane import Lane, Waiting
from agora_sidecar.consumer.member import Member
from agora_sidecar.consumer.outage import Outage, pause
from agora_sidecar.entry import Entry
from agora_sidecar.keys import GROUP, Shards
from agora_sidecar.process.clock import Clock, SystemClock
from agora_sidecar.store import Redis, StoreError, connect

log = structlog.get_logger()

Handler = Callable[[Entry], Awaitable[None]]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_REASON = 500
"""Characters of an error that a dead letter keeps."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry in your hands, the `deliveries`-th time that somebody of the group has it.

    Act, then acknowledge. What is neither acknowledged nor rejected comes again, to you or to
    another member, after `claim_idle`. Both wait for a store that is away.
    """

    entry: Entry
    deliveries: int
    _lane: Lane = field(repr=False)
    _outage: Outage = field(repr=False)

    async def acknowledge(self) -> None:
        """It is done with.

        Raises:
            StoreError: the store refuses, and waiting would not help.
        """
        ids = (self.entry.stream_id,)
        await self._outage.through(lambda: self._lane.member.acknowledge(ids))

    async def reject(self, why: str) -> None:
        """Nothing will ever come of it: to the dead letters, now.

        Raises:
            StoreError: the store refuses, and waiting would not help.
        """
        reason = why[:MAX_REASON]
        await self._outage.through(lambda: self._lane.bury(self.entry.stream_id, reason))

    @property
    def is_last(self) -> bool:
        """Whether it goes to the dead letters if it is not acknowledged this time."""
        return self._lane.spent(self.deliveries)


class Consumer:
    """Reads the events of all shards as the member `name` of the group `group`.

    Within `async with`, an endless `async for` gives deliveries; several tasks may share it.
    A store that is away is waited for; a group that vanished is made again.

    `store` is a client that gives bytes, or a URL. `prefix` and `shards` are those of the sidecar's
    settings. A new group begins with the oldest entry, or with what comes from `now` on. What
    nobody acknowledged for `claim_idle` seconds is delivered again, and after `max_deliveries`
    moved to the dead letters (None: never): choose the first longer than one entry ever takes.
    `batch` entries of each shard are read ahead; one read waits `block` seconds, which is also how
    long leaving may take.

    Raises:
        ValueError: an argument that cannot work; the message says which and why.
    """

    def __init__(
        self,
        store: Redis | str,
        *,
        group: str,
        name: str,
        prefix: str = "ncs",
        shards: int = 1,
        begin: Literal["oldest", "now"] = "oldest",
        claim_idle: float = 60.0,
        max_deliveries: int | None = 5,
        batch: int = 32,
        block: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        _check(group, name)
        _check_numbers(shards, claim_idle, max_deliveries=max_deliveries, batch=batch, block=block)
        self._owns = isinstance(store, str)
        self._client = _client(store, block=block, shards=shards)
        if _gives_text(self._client):
            raise ValueError("store: the client must give bytes (decode_responses off); or a URL")
        self._clock = clock or SystemClock()
        self._outage = Outage(self._clock, away=_away, back=_back)
        self._begin_now = begin == "now"
        self._block = block
        self._lanes = [
            Lane(
                Member(self._client, keys, group=group, consumer=name),
                clock=self._clock,
                batch=batch,
                block=block,
                claim_idle=claim_idle,
                max_deliveries=max_deliveries,
            )
            for keys in Shards(prefix, shards).all
        ]
        self._waiting: deque[tuple[Lane, Waiting]] = deque()
        self._reads: dict[Lane, asyncio.Task[list[Waiting]]] = {}
        self._fetching = asyncio.Lock()
        self._stopped = asyncio.Event()

    async def __aenter__(self) -> Self:
        if self._begin_now:
            for lane in self._lanes:
                await self._outage.through(lane.member.begin_now)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        try:
            await self._leave()
        finally:
            if self._owns:
                await self._client.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        while not self._stopped.is_set():
            if not self._waiting:
                await self._fetch()
                continue
            lane, waiting = self._waiting.popleft()
            found = await self._outage.through(lambda: lane.hand_out(waiting))  # noqa: B023 - awaited here
            if found is not None:
                entry, deliveries = found
                return Delivery(entry, deliveries, lane, self._outage)
        raise StopAsyncIteration

    def stop(self) -> None:
        """End the iteration after the entry in hand; for a signal handler."""
        self._stopped.set()

    async def run(self, handler: Handler) -> None:
        """Give each entry to `handler` until stopped; acknowledge those that it did not fail on.

        An entry that it failed on comes again after `claim_idle`, to any member; after its last
        time it is a dead letter with the error's text. Failures in a row slow it down.

        Raises:
            StoreError: the store refuses, and waiting would not help.
        """
        failures = 0
        async for delivery in self:
            try:
                await handler(delivery.entry)
            except Exception as error:  # boundary: one entry must not stop the others
                failures += 1
                await self._failed(delivery, repr(error))
                await self._rest(pause(failures))
            else:
                failures = 0
                await delivery.acknowledge()

    async def _failed(self, delivery: Delivery, why: str) -> None:
        log.warning(
            "consumer.handler_failed",
            stream_id=delivery.entry.stream_id,
            deliveries=delivery.deliveries,
            why=why[:MAX_REASON],
        )
        if delivery.is_last:
            await delivery.reject(why)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _fetch(self) -> None:
        """Wait until some shard gave something, or until stopped.

        A read that was begun is never given up: what the store gave would be nobody's for a while.
        """
        async with self._fetching:
            if self._waiting or self._stopped.is_set():
                return
            for lane in self._lanes:
                if lane not in self._reads:
                    self._reads[lane] = asyncio.create_task(self._outage.through(lane.fetch))
            stopped = asyncio.create_task(self._stopped.wait())
            try:
                waits = [*self._reads.values(), stopped]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopped.cancel()
            for lane in [lane for lane, read in self._reads.items() if read.done()]:
                self._waiting += [(lane, one) for one in self._reads.pop(lane).result()]

    async def _leave(self) -> None:
        """Give back what was read ahead; bounded by `block` and the store's time-out."""
        if self._reads:
            _, late = await asyncio.wait(self._reads.values(), timeout=self._block + 0.5)
            for read in late:
                read.cancel()
            found = await asyncio.gather(*self._reads.values(), return_exceptions=True)
            for lane, read_ahead in zip(self._reads, found, strict=True):
                if isinstance(read_ahead, list):
                    self._waiting += [(lane, one) for one in read_ahead]
            self._reads.clear()
        try:
            while self._waiting:
                lane, waiting = self._waiting.popleft()
                await lane.give_back(waiting)
        except StoreError as error:
            # the others claim it in time
            log.warning("consumer.not_given_back", kind=error.kind, why=error.detail)


def _client(store: Redis | str, *, block: float, shards: int) -> Redis:
    if not isinstance(store, str):
        return store
    # Each shard's read keeps a connection; a command must have longer than a read blocks
    return connect(store, timeout=block + 5.0, connections=2 * shards + 8)


def _gives_text(client: Redis) -> bool:
    known: Any = getattr(client, "connection_pool", client)  # a Cluster's has one for each node
    return bool(known.connection_kwargs.get("decode_responses"))


def _away(error: StoreError) -> None:
    log.warning("consumer.store_away", kind=error.kind, why=error.detail)


def _back(seconds: float) -> None:
    log.info("consumer.store_back", after=round(seconds, 1))


def _check(group: str, name: str) -> None:
    for what, value in (("group", group), ("name", name)):
        if not _NAME.fullmatch(value):
            raise ValueError(f"{what}: must be 1 to 64 of A-Z, a-z, 0-9, '.', _ and -")
    if group == GROUP:
        raise ValueError(f"group: {GROUP} is the sidecar's own; take another name")


def _check_numbers(
    shards: int, claim_idle: float, *, max_deliveries: int | None, batch: int, block: float
) -> None:
    for bad, text in (
        (not 1 <= shards <= 256, "shards: must be from 1 to 256, as in the sidecar's settings"),
        (not claim_idle > 0, "claim_idle: must be seconds above zero"),
        # what a process that died had only read ahead counts as delivered once
        (max_deliveries is not None and max_deliveries < 2, "max_deliveries: must be 2 or more"),
        (not 1 <= batch <= 1000, "batch: must be from 1 to 1000"),
        (not 0 < block <= 60, "block: must be seconds above zero, at most 60"),
    ):
        if bad:
            raise ValueError(text)
