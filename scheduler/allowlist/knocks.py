"""An unlisted source knocks: ask the vendor at once, it may have moved.

The packet was dropped and is sent again after a second: a poll and a change that take less let it
through within the same attempt. A source that goes on knocking is asked about again, for it may be
faster than the vendor's own list; each time later, as scanners knock all day. Only what came since
the start counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.allowlist.addresses import Address
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.sightings import Sightings

log = structlog.get_logger()

LOOK = 0.15
"""Seconds between two looks."""
MIN_GAP = 2.0
"""Seconds between two polls that knocks cause."""
LONGEST = 60.0
"""Seconds after which a source that keeps knocking is asked about again, at most."""
AGAIN = 5.0
"""Seconds between attempts where the knocks cannot be read."""
SOURCES = 4096
"""Sources whose turn is remembered."""

Read = Callable[[], Mapping[Address, int]]
"""Address -> packets so far, of everybody who is not listed. Raises OSError."""


@dataclass(slots=True)
class _Turn:
    packets: int
    due: float
    wait: float


class Knocks:
    """Looks who knocked, and asks for a poll; `admitted` tells who is listed by now."""

    def __init__(
        self,
        *,
        read: Read,
        on_knock: Callable[[], None],
        admitted: Callable[[], Mapping[Address, object]],
        sightings: Sightings,
        clock: Clock,
        metrics: AllowlistMetrics,
        gap: float = MIN_GAP,
    ) -> None:
        self._read = read
        self._on_knock = on_knock
        self._admitted = admitted
        self._sightings = sightings
        self._clock = clock
        self._metrics = metrics
        self._gap = gap
        self._turns: dict[Address, _Turn] | None = None
        self._wants: set[Address] = set()
        self._asked_at: float | None = None
        self._problem = ""

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                self.look()
            except OSError as error:
                self._note(error.strerror or repr(error))
                await self._clock.sleep(AGAIN)
            except Exception as error:  # boundary: the next look may be well
                log.exception("allowlist.knocks_failed", why=repr(error))
                await self._clock.sleep(AGAIN)
            else:
                self._note("")
            await self._clock.sleep(LOOK)

    def look(self) -> None:
        """Look once, and ask if somebody knocked whose turn it is. Raises OSError."""
        found, now = self._read(), self._clock.monotonic()
        if self._turns is None:  # at the start: who is there already came before
            self._turns = {a: _Turn(packets, now, self._gap) for a, packets in found.items()}
            return
        admitted = self._admitted()
        for address, packets in found.items():
            if address not in admitted:
                self._heard(self._turns, address, packets=packets, now=now)
        self._wants -= admitted.keys()
        self._ask_if_due(self._turns, now)

    def _heard(
        self, turns: dict[Address, _Turn], address: Address, *, packets: int, now: float
    ) -> None:
        turn = turns.get(address)
        if turn is None or packets < turn.packets:  # new, or forgotten by the kernel meanwhile
            turn = _Turn(0, now, self._gap)
        if packets > turn.packets:
            self._sightings.came(address, packets=packets - turn.packets)
            turn.packets = packets
            self._wants.add(address)
        turns.pop(address, None)
        turns[address] = turn
        while len(turns) > SOURCES:
            del turns[next(iter(turns))]

    def _ask_if_due(self, turns: dict[Address, _Turn], now: float) -> None:
        due = [a for a in self._wants if (turn := turns.get(a)) is None or turn.due <= now]
        if not due:
            return
        if self._asked_at is not None and now - self._asked_at < self._gap:
            return
        self._asked_at = now
        for address in due:
            self._wants.discard(address)
            if turn := turns.get(address):
                turn.due, turn.wait = now + turn.wait, min(turn.wait * 2, LONGEST)
        self._metrics.knocks.inc(len(due))
        log.info("allowlist.knock", sources=[str(a) for a in due[:8]], all=len(due))
        self._on_knock()

    def _note(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.warning("allowlist.knocks_unheard", why=problem)
        elif self._problem and not problem:
            log.info("allowlist.knocks_heard", after=self._problem)
        self._problem = problem
