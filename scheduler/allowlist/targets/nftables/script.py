"""What is said to `nft`: the shape of our table, and the transaction that changes it. Pure.

One transaction for every change, and in it only what differs: an element that stays is not touched
and goes on counting. Making a table or a chain anew would lose packets and let strangers in, even
in one transaction. Every rule begins with the match of the one port, as the packets are addressed
before any redirect.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.plan import Wish

TABLE = "agora_sidecar"
MARK = "agora-sidecar"
"""Comment of our sets: a table of this name without it is not ours."""
SETS = {4: "ncs4", 6: "ncs6"}
KNOCKS = {4: "knocks4", 6: "knocks6"}
"""Who is not listed and came all the same: filled by the packets themselves."""
KNOCKS_SIZE = 1024
"""A scan cannot exhaust anything: what has no room is not remembered, and dropped like the rest."""
OPEN = "open"
"""Ports that are open to everybody until their element's time is over; the kernel ends it."""
SHORTEST_MS = 1000
"""An element's remaining time is never written as less than this, or it might be gone unread."""
NEAR = 5.0
"""Seconds by which a remaining time may differ from what the kernel counts down."""

Packets = Mapping[Address, int]


@dataclass(frozen=True, slots=True)
class Port:
    """What becomes of one port's packets.

    `mode` is observe (count the unlisted) or enforce (drop them). A `mark` other than 0 is set on
    the packets of listed addresses, so that the operator's own rules can accept them by it.
    """

    number: int
    mode: str
    size: int
    mark: int = 0

    @property
    def chain(self) -> str:
        """The name of its chain."""
        return f"port_{self.number}"

    @property
    def form(self) -> str:
        """The mode and a digest of the rules, as one word."""
        return f"{self.mode}-{sha256(str(self.rules()).encode()).hexdigest()[:8]}"

    def rules(self) -> tuple[str, ...]:
        """Its rules in order, without their comment."""
        port = f"meta l4proto tcp ct original proto-dst {self.number}"
        mark = f"meta mark set mark or {self.mark:#x} " if self.mark else ""
        listed = f"{mark}counter name listed_{self.number} accept"
        unlisted = {
            "observe": f"ct state new counter name unlisted_{self.number} accept",
            "enforce": f"counter name unlisted_{self.number} drop",
        }[self.mode]
        return tuple(
            f"{port} {rest}"
            for rest in (
                "ct state established,related accept",
                "ip saddr 127.0.0.0/8 accept",
                "ip6 saddr ::1 accept",
                f"ip saddr @{SETS[4]} {listed}",
                f"ip6 saddr @{SETS[6]} {listed}",
                f"ct state new update @{KNOCKS[4]} {{ ip saddr counter }}",
                f"ct state new update @{KNOCKS[6]} {{ ip6 saddr counter }}",
                f"ct original proto-dst @{OPEN} {mark}accept",
                unlisted,
            )
        )


def table_script(port: Port, *, rules: bool, left_over: Iterable[str] = ()) -> list[str]:
    """Lines that make what is missing; what is there already is added again, changing nothing."""
    where = f"inet {TABLE}"
    hook = "type filter hook prerouting priority mangle; policy accept;"
    lines = [f"add table {where}"]
    for version in (4, 6):
        kind = f"type ipv{version}_addr"
        listed = f"{kind}; flags timeout; counter; size {port.size}"
        knocks = f"{kind}; flags dynamic,timeout; timeout 10m; size {KNOCKS_SIZE}"
        for name, spec in ((SETS[version], listed), (KNOCKS[version], knocks)):
            lines.append(f'add set {where} {name} {{ {spec}; comment "{MARK}"; }}')
    lines += [
        f'add set {where} {OPEN} {{ type inet_service; flags timeout; comment "{MARK}"; }}',
        *(f"add counter {where} {name}_{port.number}" for name in ("listed", "unlisted")),
        f"add chain {where} {port.chain} {{ {hook} }}",
    ]
    if rules:
        lines.append(f"flush chain {where} {port.chain}")
        lines += [
            f'add rule {where} {port.chain} {rule} comment "{port.form}"' for rule in port.rules()
        ]
    return lines + [f"delete chain {where} {chain}" for chain in left_over]


def difference(name: str, there: Wish, wish: Wish, counted: Packets) -> Iterator[str]:
    """Lines that turn one set's elements into what is wished; `name` is family, table and set.

    Who leaves goes first, for the set may be full. An element that counts down may end before we
    delete it: adding it once more makes that safe on every kernel, and renews a time on the old
    ones, which ignore a plain second `add`.
    """
    renewed = [a for a in wish if a in there and _differs(wish[a], there[a])]
    for address in [*(a for a in there if a not in wish), *renewed]:
        if there[address] is not None:
            yield f"add element {name} {{ {address} }}"
        yield f"delete element {name} {{ {address} }}"
    new = {a: left for a, left in wish.items() if a not in there} | {a: wish[a] for a in renewed}
    yield from _added(name, new, counted)


def replacement(name: str, wish: Wish, counted: Packets) -> Iterator[str]:
    """The same in whole, for where the difference was refused."""
    yield f"flush set {name}"
    yield from _added(name, wish, counted)


def opening(port: int, seconds: float) -> list[str]:
    """Lines that open this port to everybody for so long; for zero, end that."""
    element = f"element inet {TABLE} {OPEN}"
    lines = [f"add {element} {{ {port} }}", f"delete {element} {{ {port} }}"]
    if seconds > 0:
        lines.append(f"add {element} {{ {port} timeout {duration(seconds)} }}")
    return lines


def of_version(wish: Wish, version: int) -> dict[Address, float | None]:
    """The part of the wish that belongs to this family."""
    return {address: left for address, left in wish.items() if address.version == version}


def duration(seconds: float) -> str:
    """A time-out as `nft` reads it."""
    milliseconds = max(SHORTEST_MS, int(seconds * 1000))
    return f"{milliseconds // 1000}s{milliseconds % 1000}ms"


def _differs(wanted: float | None, has: float | None) -> bool:
    if wanted is None or has is None:
        return wanted is not has
    return abs(wanted - has) > NEAR


def _added(name: str, wish: Wish, counted: Packets) -> Iterator[str]:
    if elements := ", ".join(_element(a, left, counted.get(a, 0)) for a, left in wish.items()):
        yield f"add element {name} {{ {elements} }}"


def _element(address: Address, left: float | None, packets: int) -> str:
    counter = f" counter packets {packets} bytes 0" if packets else ""
    return f"{address}{counter}" + ("" if left is None else f" timeout {duration(left)}")
