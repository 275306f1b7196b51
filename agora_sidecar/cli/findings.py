"""What the doctor makes of facts: pure. Each finding says what it is, and what to do."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from agora_sidecar.agora.signatures import seconds_covered
from agora_sidecar.settings import SourceSettings
from agora_sidecar.store import Durability
from receiver.spool.journal import Facts
from scheduler.allowlist.report import Outcome
from scheduler.allowlist.targets import Remark

Kind = Literal["ok", "warning", "problem"]

OLD = 300.0
"""Seconds after which an event that waits in the spool is a problem."""
SKEW = 2.0
"""Seconds by which this machine's clock and the store's may differ."""
FULL = 0.8
"""Part of its memory from which a store is nearly full."""
LATE = 1.5
"""Intervals between polls after which one was missed."""
SOON = 14 * 86_400.0
"""Seconds before the end of a certificate or a secret from which it is said."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `cure` is empty where nothing is to be done."""

    about: str
    kind: Kind
    text: str
    cure: str = ""

    def line(self) -> str:
        """For people."""
        text = f"{self.kind:<8}{self.about}: {self.text.rstrip('.')}"
        return f"{text}. {self.cure[0].upper()}{self.cure[1:]}" if self.cure else text

    def shown(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def of_store(found: Durability, *, asked: str) -> Iterator[Finding]:
    """How safe the store is against how safe it was asked to be, and what else is wrong with it."""
    version = found.facts.get("valkey_version") or found.facts.get("redis_version", "?")
    yield Finding("redis", "ok", f"answers, version {version}")
    if found.level == "redis-fsync":
        yield Finding("durability", "ok", "Redis forces each write to disk before it replies")
    elif asked == "disk":
        cure = "Set appendonly yes, appendfsync always and no-appendfsync-on-rewrite no in Redis"
        text = f"{found.why}; every event takes the way through the spool first"
        yield Finding("durability", "warning", text, cure)
    else:
        cure = 'Set receiver.durability = "disk", or appendfsync always in Redis'
        yield Finding(
            "durability", "problem", f"acknowledged events may be lost: {found.why}", cure
        )
    for warning in found.warnings:
        yield Finding("redis", "problem", warning)
    yield from _of_memory(found.facts)


def of_abandoned(streams: Sequence[str]) -> Iterator[Finding]:
    """Streams that another `stream.shards` left behind."""
    for stream in streams:
        text = f"{stream} is of another stream.shards: nobody appends to it or trims it"
        yield Finding("redis", "warning", text, "Read what is on it, then DEL it")


def _of_memory(facts: dict[str, str]) -> Iterator[Finding]:
    used, limit = facts.get("used_memory", ""), facts.get("maxmemory", "")
    if not used.isdecimal() or not limit.isdecimal() or not int(limit):
        return
    part = int(used) / int(limit)
    if part >= FULL:
        cure = "Raise maxmemory, or lower stream.max_entries, stream.retention or dedupe_window"
        yield Finding("redis", "problem", f"{part:.0%} of maxmemory are used", cure)


def of_clock(store: float | None, *, now: float) -> Iterator[Finding]:
    """This machine's clock beside the store's (both Unix seconds)."""
    if store is None:
        return
    skew = abs(now - store)
    if skew > SKEW:
        cure = "Let both machines keep time (chrony, systemd-timesyncd)"
        yield Finding("clock", "warning", f"differs from Redis' by {skew:.0f} s", cure)
    else:
        yield Finding("clock", "ok", "agrees with Redis'")


def of_disk(free: int, *, limit: int, folder: str) -> Iterator[Finding]:
    """Whether the disk has room for the spool (bytes)."""
    if free < limit:
        cure = (
            "Make room, or lower receiver.spool_limit: a full disk answers 503 when Redis is gone"
        )
        text = f"{free // 2**20} MiB are free for {folder}, which may take {limit // 2**20}"
        yield Finding("spool", "warning", text, cure)
    else:
        yield Finding("spool", "ok", f"{folder} has room")


def of_waiting(facts: Facts, *, held: bool, name: str, now: float) -> Iterator[Finding]:
    """Events that wait in one file of the spool."""
    if not facts.waiting:
        return
    age = now - facts.oldest_ms / 1000
    cure = (
        "See why Redis does not take them: /status and the log of the receiver"
        if held
        else "Start a receiver, or run `agora-sidecar spool drain`"
    )
    kind: Kind = "problem" if age > OLD else "warning"
    yield Finding("spool", kind, f"{facts.waiting} events wait in {name}, for {age:.0f} s", cure)


def of_secrets(sources: Sequence[SourceSettings], *, now: float) -> Iterator[Finding]:
    """Secrets that end soon, and sources that nobody can sign for."""
    for source in sources:
        left = seconds_covered(((s.not_before, s.not_after) for s in source.secrets), now)
        if not left:
            cure = "Add the secret that the vendor's console shows"
            yield Finding("secrets", "problem", f"source {source.name} has no valid one", cure)
            continue
        if left < SOON:
            text = f"the last secret of source {source.name} ends in {left / 86_400:.1f} days"
            yield Finding("secrets", "warning", text, "Add the next one beside it")
        else:
            yield Finding("secrets", "ok", f"source {source.name}: {len(source.secrets)} known")


def of_targets(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """How each target of the allow-list stands."""
    for outcome in outcomes:
        if outcome.plan is None:
            cure = "See docs/targets.md for what it needs, and the rights of this user"
            yield Finding("allow-list", "problem", f"{outcome.target}: {outcome.problem}", cure)
        elif not outcome.plan.empty:
            text = f"{outcome.target} is not as it should be"
            yield Finding("allow-list", "problem", text, "See `agora-sidecar allowlist plan`")
        else:
            yield Finding("allow-list", "ok", f"{outcome.target} is in sync")


def of_remarks(target: str, remarks: Sequence[Remark]) -> Iterator[Finding]:
    """What a target says about its rights and its surroundings."""
    for remark in remarks:
        yield Finding("allow-list", remark.kind, f"{target}: {remark.text}", remark.cure)


def of_list(snapshot: Mapping[str, Any], *, interval: float) -> Iterator[Finding]:
    """The age of the last good poll; `interval`: seconds between two."""
    age = snapshot["ageSeconds"]
    if age is None:
        text = "no good poll is on this machine's disk"
        yield Finding("allow-list", "warning", text, "Start the scheduler, as its user")
    elif age > LATE * interval:
        text = f"the last good poll was {age / 3600:.1f} h ago"
        yield Finding("allow-list", "problem", text, "See allowlist.poll_failed in its log")
    else:
        yield Finding("allow-list", "ok", f"the last good poll was {age / 60:.0f} min ago")


def of_certificate(left: float) -> Finding:
    """The public port's certificate, with this many seconds left; NaN: it does not say."""
    if math.isnan(left):
        return Finding("tls", "ok", "the certificate and its key can be used")
    if left < 0:
        return Finding("tls", "problem", "the certificate has ended", "Renew it: it is taken up")
    if left < SOON:
        text = f"the certificate ends in {left / 86_400:.1f} days"
        return Finding("tls", "warning", text, "Renew it: it is taken up without a restart")
    return Finding("tls", "ok", f"the certificate is good for {left / 86_400:.0f} days")
