"""The allow-list for people: its status and its history as lines. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

SHOWN = 5
"""Sources and blind times of which a status tells."""


def status_lines(shown: Mapping[str, Any]) -> Iterator[str]:
    """The list, its age, what is odd about it, how each target stands, and whether to enforce."""
    age, level = shown["ageSeconds"], shown["alarm"]
    told = "no good poll yet" if age is None else f"last good poll {age:.0f} s ago"
    yield f"revision {shown['revision']}, {told}" + (f" ({level})" if age and level else "")
    yield from _ordered(shown)
    for item in shown["addresses"]:
        left = item["secondsLeft"]
        rest = "" if left is None else f"  {left:.0f} s left"
        yield f"  {item['address']:<39}  {item['state']}{rest}"
    for name, address in shown["alsoAllow"].items():
        yield f"  {address:<39}  always ({name})"
    for target in shown["targets"]:
        yield f"{target['name']}: {target['problem'] or 'in sync'}"
    yield from _seen(shown)
    yield from _readiness(shown["enforcing"])


def history_line(record: Mapping[str, Any]) -> str:
    """One record of the audit."""
    facts = [
        f"{name}={' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in record.items()
        if name not in {"kind", "at", "digest"} and value not in ("", [], None)
    ]
    return "  ".join([moment(record["at"]), f"{record['kind']:<5}", *facts])


def moment(at: float) -> str:
    """Unix seconds as a date and time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ordered(shown: Mapping[str, Any]) -> Iterator[str]:
    if frozen := shown["frozen"]:
        until = f" until {moment(frozen['until'])}" if frozen["until"] else ""
        why = f": {frozen['why']}" if frozen["why"] else ""
        yield f"FROZEN since {moment(frozen['since'])}{until}{why}"
    if shown["openUntil"]:
        yield f"OPEN to everybody until {moment(shown['openUntil'])}"
    if held := shown["held"]:
        yield f"HELD {held['plan']}: {held['why']}"
        yield f"  {' '.join(held['addresses'])}"
        yield f"  to admit them: agora-sidecar allowlist apply --accept-plan {held['plan']}"


def _seen(shown: Mapping[str, Any]) -> Iterator[str]:
    counts = shown["deliveries"]
    if counts:
        told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        yield f"authentic deliveries of the last days: {told}"
    for blind in shown["blindTimes"][-SHOWN:]:
        when, seconds = moment(blind["at"]), f"{blind['seconds']:.1f} s"
        yield f"blind: {blind['address']} came {seconds} before it was listed, {when}"
    for source in shown["unlisted"][:SHOWN]:
        mark = "  AUTHENTIC DELIVERIES" if source["authentic"] else ""
        last = moment(source["lastSeen"])
        yield f"not listed: {source['address']}, {source['packets']} packets, last {last}{mark}"


def _readiness(enforcing: Mapping[str, Any]) -> Iterator[str]:
    if enforcing["safe"]:
        yield "enforcing is safe"
        return
    yield "enforcing is not known to be safe:"
    for why in enforcing["against"]:
        yield f"  {why}"
