"""The job: each stream in rounds, then say how it stands."""

from collections.abc import Sequence
from dataclasses import asdict

import structlog

from agora_sidecar.keys import GROUP, Keys
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import Redis, StoreError
from scheduler.trimming.metrics import TrimMetrics
from scheduler.trimming.script import TrimScript
from scheduler.trimming.verdict import Facts, Limits, Over, judge

log = structlog.get_logger()

INTERVAL = 60.0
"""Seconds between two runs."""
MAX_ROUNDS = 100
"""Of each stream in one run: a million entries a minute is more than a receiver takes in."""
RUN_SECONDS = 30.0
"""A longer run gives each stream that is left one round; the rest is for the next run."""


class Trimmer:
    """Trims the streams of all shards, and the quarantine, which nobody reads as a group.

    `retention` (seconds) and `max_entries` are of each stream by itself; `protected` are groups of
    others, beside our own, that nothing is trimmed before.
    """

    def __init__(
        self,
        client: Redis,
        shards: Sequence[Keys],
        *,
        quarantine: str,
        retention: float,
        max_entries: int,
        protected: Sequence[str],
        clock: Clock,
        metrics: TrimMetrics,
    ) -> None:
        groups = tuple(dict.fromkeys((GROUP, *protected)))
        self._groups: dict[str, tuple[str, ...]] = {keys.events: groups for keys in shards}
        self._groups[quarantine] = ()
        self._limits = Limits(retention, max_entries)
        self._script = TrimScript(client)
        self._clock = clock
        self._metrics = metrics
        self._over: dict[str, str] = {}
        self._missing: dict[str, frozenset[str]] = {}

    async def run_once(self) -> None:
        """Trim every stream as far as it may be, and report those that are over their limits.

        A store that does not answer ends the run; a key that is no stream is passed over.
        """
        end = self._clock.monotonic() + RUN_SECONDS
        for stream in self._groups:
            try:
                facts = await self._trim(stream, end=end)
            except StoreError as error:
                log.warning("stream.not_trimmed", stream=stream, kind=error.kind, why=error.detail)
                if error.kind != "wrongtype":
                    return
            else:
                self._show(stream, facts)

    async def _trim(self, stream: str, *, end: float) -> Facts:
        trimmed = self._metrics.trimmed.labels(stream)
        rounds = 0
        while True:
            facts = await self._script.round(stream, self._limits, self._groups[stream])
            trimmed.inc(facts.evicted)
            rounds += 1
            if not facts.evicted or rounds == MAX_ROUNDS or self._clock.monotonic() > end:
                return facts

    def _show(self, stream: str, facts: Facts) -> None:
        over = judge(facts, self._limits)
        self._metrics.entries.labels(stream).set(facts.entries)
        self._metrics.oldest.labels(stream).set(facts.age(facts.oldest))
        self._metrics.over_limit.labels(stream).set(over is not None)
        self._tell_missing(stream, facts)
        self._tell_over(stream, facts, over)

    def _tell_missing(self, stream: str, facts: Facts) -> None:
        if not facts.entries:
            return  # where there is nothing, nobody was asked
        missing = facts.missing() - {GROUP}  # our own intake makes its group by itself
        for group in sorted(missing - self._missing.get(stream, frozenset())):
            log.warning(
                "stream.group_missing",
                stream=stream,
                group=group,
                why="stream.protect_groups names it, so nothing is trimmed until it exists",
            )
        self._missing[stream] = missing

    def _tell_over(self, stream: str, facts: Facts, over: Over | None) -> None:
        known = self._over.get(stream)
        if over is None:
            if known is not None:
                log.info("stream.within_limits", stream=stream, entries=facts.entries)
                del self._over[stream]
            return
        if known != over.group:
            log.warning(
                "stream.over_limit",
                stream=stream,
                entries=facts.entries,
                max_entries=self._limits.max_entries,
                oldest_seconds=facts.age(facts.oldest),
                retention=self._limits.retention,
                **asdict(over),
            )
        self._over[stream] = over.group
