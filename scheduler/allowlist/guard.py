"""What is never let in, and which plans are refused, each by name and with its numbers. Pure.

The deny table is our own and is tested by overlap: `ipaddress.is_global` calls 0.0.0.0/0, 6to4 and
mapped addresses global, and its tables differ between Python patch releases.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from agora_sidecar.agora.errors import AddressListError
from scheduler.allowlist.addresses import Address

# RFC 6890 and its successors; multicast, mapped, translated and documentation addresses
_DENIED = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # only 2000::/3 is given out at all
        *("::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
_NEVER = tuple(ip_network(text) for text in ("0.0.0.0/8", "224.0.0.0/3", "::/127", "ff00::/8"))
"""Not even where reserved addresses are accepted: they are nobody's source address."""


class GuardError(Exception):
    """A change that is not made; `rule` is a short word for logs and metrics."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Judged:
    """The values of one answer: those that may be let in, and the others with the reason."""

    addresses: tuple[Address, ...]
    rejected: tuple[tuple[str, str], ...]


def judge(values: Iterable[Any], *, max_entries: int, accept_reserved: bool = False) -> Judged:
    """Which of the vendor's values may be let in.

    Raises:
        AddressListError: none of them, or more than `max_entries`.
    """
    addresses: dict[Address, None] = {}
    rejected = []
    for value in values:
        reason = why_refused(value, accept_reserved=accept_reserved)
        if reason:
            rejected.append((repr(value)[:60], reason))
        else:
            addresses[_parsed(value)] = None
    if not addresses:
        raise AddressListError("all_invalid", f"{len(rejected)} values, none is a public address")
    if len(addresses) > max_entries:
        raise AddressListError("too_many", f"{len(addresses)} addresses; max_entries {max_entries}")
    return Judged(tuple(addresses), tuple(rejected))


def why_refused(value: Any, *, accept_reserved: bool = False) -> str:
    """Why this value is not one address to let in; empty if it is."""
    if not isinstance(value, str):
        return "not a string"
    try:
        address = _parsed(value)
    except ValueError:
        return "not one IP address"
    if str(address) != value.partition("/")[0] or "%" in value:
        return "not in canonical form"
    if any(address in network for network in _NEVER if network.version == address.version):
        return "nobody's source address"
    if not accept_reserved and any(
        address in network for network in _DENIED if network.version == address.version
    ):
        return "not a public address"
    return ""


def check(active: Collection[Address], retiring: Collection[Address], *, limit: int) -> None:
    """Refuse a wish that no target may be given; targets are made for `limit` addresses.

    Raises:
        GuardError: nobody is active, or there are more than `limit`.
    """
    if not active:
        raise GuardError("empty", "no active address: an empty list would close or open everything")
    if len(active) + len(retiring) > limit:
        raise GuardError(
            "too_many", f"{len(active)} active and {len(retiring)} retiring; the limit is {limit}"
        )


def _parsed(text: str) -> Address:
    """One address; `/32` and `/128` say the same.

    Raises:
        ValueError: anything else.
    """
    host, slash, length = text.partition("/")
    address = ip_address(host)
    if slash and length != str(address.max_prefixlen):
        raise ValueError("a network, not an address")
    return address
