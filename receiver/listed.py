"""Is the client on the allow-list that the scheduler publishes; and the hint when it is not.

`AddressList` keeps the current list in memory, so that a verdict costs no round trip. `Hints` tells
the scheduler of an authentic delivery from an unlisted address, in the background: the vendor has
moved, and the list is to be asked for at once; and how many deliveries came from whom. Who is
refused is not decided here.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Literal

import msgspec
import structlog

from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import Redis, StoreError, store_errors

log = structlog.get_logger()

Address = IPv4Address | IPv6Address
Verdict = Literal["listed", "unlisted", "unknown"]

INTERVAL = 2.0
"""Seconds between two looks at the published list."""
MAX_ADDRESSES = 20_000
"""Twice the largest `allowlist.max_entries`: a list, and as many that are leaving."""
WINDOW = 60.0
"""Seconds in which an address is hinted at once, and `MAX_HINTS` are in all."""
MAX_HINTS = 60
"""Addresses in one window; also all that is ever remembered."""
REPORT = 30.0
"""Seconds between two words of how many deliveries came from whom."""
STREAM_LENGTH = 1000
"""Entries that the stream of hints keeps, about."""


class _Listed(msgspec.Struct):
    """An admitted address; one that is retiring is still admitted."""

    address: str


_ADDRESSES = msgspec.json.Decoder(list[_Listed])


class AddressList:
    """The published list, as it was read last."""

    def __init__(self, store: Redis, keys: Keys, *, clock: Clock) -> None:
        self._store = store
        self._key = keys.allowlist
        self._clock = clock
        self._published: bytes | None = None
        self._addresses: frozenset[Address] = frozenset()
        self._read_at: float | None = None
        self._problem = ""

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def ready(self) -> bool:
        """Whether there is a list: without one, every verdict is unknown."""
        return bool(self._addresses)

    @property
    def has_private(self) -> bool:
        """Whether addresses are listed that are not public: in tests and in the demo."""
        return any(not address.is_global for address in self._addresses)

    @property
    def age(self) -> float | None:
        """Seconds since the store was last asked with success; None for never."""
        return None if self._read_at is None else self._clock.monotonic() - self._read_at

    def verdict(self, address: Address | None) -> Verdict:
        """Whether this address is listed; unknown where it or the list is not known."""
        if address is None or not self._addresses:
            return "unknown"
        return "listed" if address in self._addresses else "unlisted"

    async def refresh(self) -> None:
        """Read the published list; a store that does not answer leaves the one before it.

        One that is gone, empty or cannot be read in every part leaves none: who is missing from
        half a list would be called unlisted.
        """
        try:
            with store_errors():
                published: Any = await self._store.hget(self._key, "addresses")
        except StoreError as error:
            if error.kind != "wrongtype":
                self._note(error.kind, error.detail)
                return
            published = b""
        first, self._read_at = self._read_at is None, self._clock.monotonic()
        if first or self._problem or published != self._published:
            self._take(published)

    async def run(self, *, interval: float = INTERVAL) -> None:
        """Refresh for ever; survives every error."""
        while True:
            try:
                await self.refresh()
            except Exception as error:  # boundary: the next look may be well
                log.exception("addresses.watch_failed", why=repr(error))
            await self._clock.sleep(interval)

    def _take(self, published: bytes | None) -> None:
        before, self._addresses, self._published = self._addresses, frozenset(), published
        try:
            found = frozenset[Address]() if published is None else _addresses(published)
        except ValueError as error:
            self._note("malformed", str(error)[:200])
            return
        self._addresses = found
        self._note("" if found else "empty", "no list is published")
        if found and found != before:
            log.info("addresses.changed", listed=len(found))

    def _note(self, problem: str, why: str = "") -> None:
        """Say once when it becomes another."""
        if problem and problem != self._problem:
            log.warning("addresses.not_read", kind=problem, why=why, kept=len(self._addresses))
        self._problem = problem


def _addresses(published: bytes) -> frozenset[Address]:
    """The addresses of the published JSON.

    Raises:
        ValueError: not such JSON, not an address, or far too many.
    """
    try:
        listed = _ADDRESSES.decode(published)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if len(listed) > MAX_ADDRESSES:
        raise ValueError(f"{len(listed)} addresses; at most {MAX_ADDRESSES} are read")
    return frozenset(ip_address(entry.address) for entry in listed)


class Hints:
    """Tells the scheduler of unlisted addresses: each once a minute, 60 a minute in all."""

    def __init__(self, store: Redis, keys: Keys, *, clock: Clock) -> None:
        self._store = store
        self._key = keys.hints
        self._clock = clock
        self._hinted: dict[Address, float] = {}  # in order of time
        self._waiting: deque[tuple[str, ...]] = deque(maxlen=MAX_HINTS)
        self._news = asyncio.Event()
        self._problem = ""
        self._counts: Counter[str] = Counter()

    def count(self, verdict: Verdict) -> None:
        """An authentic delivery came; to be told of with others."""
        self._counts[verdict] += 1

    @property
    def untold(self) -> Mapping[str, int]:
        """Deliveries by verdict that the scheduler was not told of yet."""
        return dict(self._counts)

    async def report(self, *, interval: float = REPORT) -> None:
        """Tell of the deliveries, for ever; what the store does not take is told next time."""
        while True:
            await self._clock.sleep(interval)
            counts, self._counts = self._counts, Counter()
            if counts and not await self._put(("kind", "deliveries", *_pairs(counts))):
                self._counts += counts

    def offer(self, address: Address, source: str) -> bool:
        """Hint at this address, from which `source` delivered; returns at once, whether it will.

        To be called for what was verified only: anybody else must not be able to cause polls.
        """
        now = self._clock.monotonic()
        while self._hinted and now - next(iter(self._hinted.values())) >= WINDOW:
            del self._hinted[next(iter(self._hinted))]
        if address in self._hinted or len(self._hinted) >= MAX_HINTS:
            return False
        self._hinted[address] = now
        received = str(int(self._clock.now() * 1000))
        self._waiting.append(
            ("kind", "unlisted", "address", str(address), "source", source, "receivedms", received)
        )
        self._news.set()
        return True

    async def run(self) -> None:
        """Put what was offered on the stream, for ever; what the store does not take is dropped."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._put(self._waiting.popleft())

    async def _put(self, fields: tuple[str, ...]) -> bool:
        command: Any = self._store.execute_command
        try:
            with store_errors():
                await command("XADD", self._key, "MAXLEN", "~", STREAM_LENGTH, "*", *fields)
        except StoreError as error:
            self._note(error.kind, error.detail)
        except Exception as error:  # boundary: a bug here must not end what goes well
            self._note("bug", repr(error))
        else:
            self._note("")
        return not self._problem

    def _note(self, problem: str, why: str = "") -> None:
        if problem and not self._problem:
            log.warning("hints.interrupted", kind=problem, why=why)
        elif self._problem and not problem:
            log.info("hints.resumed", after=self._problem)
        self._problem = problem


def _pairs(counts: Mapping[str, int]) -> Iterator[str]:
    for verdict, number in counts.items():
        yield verdict
        yield str(number)
