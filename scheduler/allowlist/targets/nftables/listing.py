"""What `nft -j` prints, understood. Pure; raises ValueError for what is no such answer."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from scheduler.allowlist.addresses import Address


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of a set: how long each stays (None: for ever), and packets where counted."""

    left: dict[Address, float | None] = field(default_factory=dict)
    packets: dict[Address, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything of one table, by kind and name; `dormant` if it has any flag."""

    dormant: bool
    sets: Mapping[str, dict[str, Any]]
    chains: Mapping[str, dict[str, Any]]
    counters: Mapping[str, dict[str, Any]]
    rules: tuple[dict[str, Any], ...]

    def rules_of(self, chain: str) -> list[dict[str, Any]]:
        """This chain's rules in order."""
        return [rule for rule in self.rules if rule["chain"] == chain]

    def elements(self, *names: str) -> Elements:
        """Addresses of these sets together, as many as there are of them."""
        found = Elements()
        for name in names:
            for raw in self.sets.get(name, {}).get("elem", ()):
                address, left, packets = _element(raw)
                found.left[address] = left
                found.packets[address] = packets
        return found

    def ports(self, name: str) -> dict[int, float]:
        """Ports in this set, and the seconds each has left."""
        found = {}
        for raw in self.sets.get(name, {}).get("elem", ()):
            inner = raw["elem"] if isinstance(raw, dict) else {"val": raw}
            found[int(inner["val"])] = float(inner.get("expires", 0.0))
        return found


def listed(output: str) -> Listing:
    """One table as `nft -j list table` prints it."""
    items = list(_items(output))
    tables = [body for kind, body in items if kind == "table"]
    by_name = {
        kind: {body["name"]: body for found, body in items if found == kind}
        for kind in ("set", "chain", "counter")
    }
    return Listing(
        # nft 1.0.6 prints nonsense for a flag's name: that there is one is what can be known
        dormant=any("flags" in table for table in tables),
        sets=by_name["set"],
        chains=by_name["chain"],
        counters=by_name["counter"],
        rules=tuple(body for kind, body in items if kind == "rule"),
    )


def _items(output: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for item in json.loads(output)["nftables"]:
            yield from item.items()
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"nft's answer cannot be read: {error!r}") from error


def _element(raw: Any) -> tuple[Address, float | None, int]:
    """`"192.0.2.1"`, or `{"elem": {"val": "192.0.2.1", "timeout": 5, "expires": 4, …}}`."""
    try:
        if isinstance(raw, str):
            return ip_address(raw), None, 0
        inner = raw["elem"]
        timed = "timeout" in inner or "expires" in inner
        left = float(inner.get("expires", 0)) if timed else None
        packets = int(inner.get("counter", {}).get("packets", 0))
        # as text: `ipaddress` takes the number 7 for 0.0.0.7
        return ip_address(str(inner["val"])), left, packets
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its sets hold what is no address: {error!r}") from error
