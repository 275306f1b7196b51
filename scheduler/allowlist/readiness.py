"""Whether enforcing is safe, and why not: what stands against it, each with its numbers. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

LONG_ENOUGH = 24 * 3600.0
"""Seconds of observing: the vendor moves its servers about once in that time."""
ENOUGH = 20
"""Authentic deliveries that were told listed from unlisted."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known. `authentic` are unlisted sources that delivered what was authentic."""

    observed: float
    rotations: int
    deliveries: Mapping[str, int]
    authentic: Collection[str]
    alarm: str
    out_of_sync: Collection[str]
    held: bool = False
    findings: Collection[str] = ()


def against_enforcing(evidence: Evidence) -> list[str]:
    """Every reason not to enforce yet; none: it is safe."""
    return [
        *_of_deliveries(evidence),
        *_of_time(evidence),
        *([f"the list is old ({evidence.alarm})"] if evidence.alarm else ()),
        *(["additions are held; see `allowlist status`"] if evidence.held else ()),
        *(f"{name} is not in sync" for name in evidence.out_of_sync),
        *evidence.findings,
    ]


def front(sources: Mapping[str, int]) -> str:
    """Why it seems that something stands before this machine; empty if nothing does.

    `sources`: who was not listed, and packets of each.
    """
    busy = {text: packets for text, packets in sources.items() if packets >= ENOUGH}
    private = [text for text in busy if ip_address(text).is_private]
    if busy and len(private) == len(busy):
        return (
            f"connections come from {', '.join(private[:3])}: a load balancer or proxy stands in "
            "front, and the packet filter sees it instead of the vendor; use a file target there"
        )
    return ""


def _of_deliveries(evidence: Evidence) -> list[str]:
    counts = evidence.deliveries
    listed, unlisted = counts.get("listed", 0), counts.get("unlisted", 0)
    found = []
    if listed + unlisted < ENOUGH:
        found.append(
            f"only {listed + unlisted} authentic deliveries were counted (of {ENOUGH}): "
            'set receiver.require_listed = "observe"'
        )
    if unlisted:
        who = ", ".join(list(evidence.authentic)[:5]) or "see allowlist.hint in the log"
        found.append(
            f"{unlisted} of {listed + unlisted} authentic deliveries came from unlisted addresses: "
            f"{who}"
        )
    if counts.get("unknown", 0) > listed:
        found.append(
            "most deliveries came from where the client's address is not known: see trusted_proxies"
        )
    return found


def _of_time(evidence: Evidence) -> list[str]:
    if evidence.observed < LONG_ENOUGH:
        hours = evidence.observed / 3600
        return [f"observed for {hours:.1f} h: the vendor moves its servers about every 24 h"]
    if not evidence.rotations:
        return ["no rotation of the vendor's list was seen yet"]
    return []
