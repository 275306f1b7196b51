"""Who came without being listed, and how many authentic deliveries came from whom.

What the packet filter saw (knocks) and what the receiver verified (hints, counts in the store) come
together here; on disk, so that a restart forgets nothing that a decision to enforce rests on. It is
counted and shown, never admitted: no address enters the list from here.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import structlog

from agora_sidecar.process.clock import Clock
from scheduler.allowlist.addresses import Address
from scheduler.allowlist.metrics import AllowlistMetrics

log = structlog.get_logger()

REMEMBERED = 256
"""Sources that were not listed; the one that came longest ago makes room."""
DAYS = 3
"""Days whose deliveries count: what the vendor did a week ago says nothing about now."""
WINDOWS = 64
"""Blind times that are remembered."""


class Source(msgspec.Struct):
    """A source that was not listed; times are Unix seconds."""

    first: float
    last: float
    packets: int = 0
    authentic: bool = False


class Blind(msgspec.Struct, frozen=True):
    """An address that came before it was listed, and how long it had to wait."""

    address: str
    at: float
    seconds: float
    authentic: bool = False


class Seen(msgspec.Struct):
    """All of it. `since`: when observing began; `rotations`: whole exchanges of the list since."""

    since: float = 0.0
    rotations: int = 0
    sources: dict[str, Source] = {}
    blind: list[Blind] = []
    deliveries: dict[str, dict[str, int]] = {}


class Sightings:
    """What was seen so far, in memory and in one file."""

    def __init__(self, path: Path, *, clock: Clock, metrics: AllowlistMetrics) -> None:
        self._path = path
        self._clock = clock
        self._metrics = metrics
        self._seen: Seen | None = None

    @property
    def seen(self) -> Seen:
        """Everything, to be read."""
        if self._seen is None:
            self._seen = self._read()
            self._seen.since = self._seen.since or self._clock.now()
        return self._seen

    def came(self, address: Address, *, packets: int = 0, authentic: bool = False) -> None:
        """Somebody who is not listed knocked, or delivered what was authentic."""
        now, sources = self._clock.now(), self.seen.sources
        known = sources.pop(str(address), None) or Source(now, now)
        known.last, known.packets = now, known.packets + packets
        known.authentic = known.authentic or authentic
        sources[str(address)] = known  # at the end: who came last
        while len(sources) > REMEMBERED:
            del sources[next(iter(sources))]

    def listed(self, addresses: Collection[Address]) -> None:
        """These are admitted from now on: for those who came before, the blind time is over."""
        now = self._clock.now()
        for address in addresses:
            known = self.seen.sources.pop(str(address), None)
            if known is not None:
                blind = Blind(str(address), now, max(0.0, now - known.first), known.authentic)
                self.seen.blind = [*self.seen.blind, blind][-WINDOWS:]
                self._metrics.blind.observe(blind.seconds)
                log.warning("allowlist.blind", address=blind.address, seconds=blind.seconds)

    def rotated(self) -> None:
        """The whole list was exchanged."""
        self.seen.rotations += 1

    def delivered(self, counts: Mapping[str, int]) -> None:
        """So many authentic deliveries came, by verdict: listed, unlisted, unknown."""
        days = self.seen.deliveries = self._last_days()
        today = days.setdefault(str(self._today), {})
        for verdict, number in counts.items():
            today[verdict] = today.get(verdict, 0) + number
        all_days = self.deliveries()
        if told := all_days["listed"] + all_days["unlisted"]:
            self._metrics.coverage.set(all_days["listed"] / told)

    def deliveries(self) -> Counter[str]:
        """Authentic deliveries of the last days, by verdict."""
        counts: Counter[str] = Counter()
        for day in self._last_days().values():
            counts.update(day)
        return counts

    @property
    def _today(self) -> int:
        return int(self._clock.now() // 86_400)

    def _last_days(self) -> dict[str, dict[str, int]]:
        """Without those before, and without days that a clock that jumped made up."""
        days = [str(self._today - ago) for ago in range(DAYS)]
        return {day: found for day, found in self.seen.deliveries.items() if day in days}

    def save(self) -> None:
        """Put it on disk."""
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(self.seen))
            new.replace(self._path)
        except OSError as error:
            log.error("allowlist.sightings_not_saved", why=error.strerror)

    def shown(self) -> dict[str, Any]:
        """For the status: the sources that came last first."""
        seen = self.seen
        return {
            "observedSince": seen.since,
            "rotations": seen.rotations,
            "deliveries": dict(self.deliveries()),
            "unlisted": [
                {
                    "address": address,
                    "firstSeen": source.first,
                    "lastSeen": source.last,
                    "packets": source.packets,
                    "authentic": source.authentic,
                }
                for address, source in reversed(seen.sources.items())
            ],
            "blindTimes": [msgspec.to_builtins(blind) for blind in seen.blind],
        }

    def _read(self) -> Seen:
        try:
            seen = msgspec.json.decode(self._path.read_bytes(), type=Seen)
            seen.sources = {str(ip_address(text)): one for text, one in seen.sources.items()}
        except FileNotFoundError:
            return Seen()
        except (OSError, ValueError) as error:
            log.warning("allowlist.sightings_unreadable", why=str(error))
            return Seen()
        return seen
