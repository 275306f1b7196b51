"""Who really is the client when proxies stand between: only what trusted proxies say counts. Pure.

Each proxy writes, at the right end of a header, the address from which it was called. So the walk
goes from the right: as long as an address is a trusted proxy's, what stands left of it was written
by that proxy; the first one that is not is the client, and what stands left of that is the client's
own invention and is not looked at. Text that is no address (`unknown`, `_hidden`, garbage, nothing
at all) ends the walk with None: to step over it would be to believe what an unknown one wrote.

Which header counts: a proxy maintains one, `X-Forwarded-For` or `Forwarded` (RFC 7239), and passes
the other on as the client sent it. Which one it maintains cannot be seen from a request, and to
prefer either lets clients behind the other kind of proxy be whoever they like. So one that is there
alone counts, and where both are there they must lead to the same address; otherwise it is None. To
be known behind a proxy that leaves one of them alone, let it remove that one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_LENGTH = 8 * 1024
"""Characters of one header, all its lines together, that are looked at, from the right."""
MAX_HOPS = 32
"""Addresses of one header that are looked at, from the right; more proxies in a row are a loop."""

_BLANK = " \t"
_PORT = r"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]{1,64}))?"
_ZONE = r"(?:%[A-Za-z0-9._~-]{1,64})?"
"""The name of an interface of another machine: means nothing here."""
_NODE = re.compile(
    rf"(?P<v4>[0-9.]{{7,15}}){_PORT}"
    rf"|\[(?P<v6>[0-9A-Fa-f:.]{{2,45}}){_ZONE}\]{_PORT}"
    rf"|(?P<bare>[0-9A-Fa-f:.]{{2,45}}){_ZONE}"
)
_PAIR = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("[^"\\]*"|[^"\\]*)')
_MAPPED = IPv6Network("::ffff:0:0/96")


class Headers(Protocol):
    """A request's headers: all lines of one name, whatever its case, in order of arrival."""

    def getall(self, key: str, default: tuple[()]) -> Sequence[str]:
        """The values, or `default` where there is none."""
        ...


class TrustedProxies:
    """The proxies that may tell the client's address."""

    __slots__ = ("_networks",)

    def __init__(self, texts: Iterable[str]) -> None:
        """Addresses and networks, IPv4 and IPv6, as `receiver.trusted_proxies` has them.

        Raises:
            ValueError: a text is neither, or trusts everybody; names it and the rule.
        """
        self._networks = tuple(_network(text) for text in texts)

    def covers(self, address: Address) -> bool:
        """Whether this is one of the proxies."""
        plain = _plain(address)
        return any(plain in network for network in self._networks)

    def client_address(self, peer: str | None, headers: Headers) -> Address | None:
        """The address of the client; None where it cannot be known. Raises nothing.

        `peer` is the other end of the connection. Where it is no trusted proxy it is the client,
        whatever the headers say. Where everybody named is a trusted proxy it is the leftmost one,
        and the peer where nobody is named.
        """
        nearest = _peer(peer)
        if nearest is None or not self.covers(nearest):
            return nearest
        named = {
            self._walk(lines, read)
            for name, read in _READERS
            if (lines := headers.getall(name, ()))
        }
        if not named:
            return nearest
        return named.pop() if len(named) == 1 else None

    def _walk(self, lines: Sequence[str], read: "_Reader") -> Address | None:
        address = None
        for hop in _from_the_right(lines):
            address = read(hop)
            if address is None or not self.covers(address):
                break
        return address


def _from_the_right(lines: Sequence[str]) -> Iterator[str]:
    """The members of the list; an empty one, which is no address, where the bounds cut it off.

    A comma inside of quotes splits as well: what it leaves has an odd quote, and is no address.
    """
    text = ",".join(lines)
    hops = text[-MAX_LENGTH:].rsplit(",", MAX_HOPS)
    if len(hops) > MAX_HOPS or len(text) > MAX_LENGTH:
        hops[0] = ""
    return (hop.strip(_BLANK) for hop in reversed(hops))


def _forwarded_for(hop: str) -> Address | None:
    """A member of `X-Forwarded-For`."""
    return _node(_unquoted(hop))


def _forwarded(hop: str) -> Address | None:
    """The one `for=` of a member of `Forwarded`; the other pairs must be well formed."""
    found = []
    for pair in hop.split(";"):
        match = _PAIR.fullmatch(pair.strip(_BLANK))
        if match is None:
            return None
        if match[1].lower() == "for":
            found.append(match[2])
    return _node(_unquoted(found[0])) if len(found) == 1 else None


_Reader = Callable[[str], Address | None]
_READERS: tuple[tuple[str, _Reader], ...] = (
    ("X-Forwarded-For", _forwarded_for),
    ("Forwarded", _forwarded),
)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _node(text: str) -> Address | None:
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        if match["v4"]:
            return IPv4Address(match["v4"])
        return _plain(IPv6Address(match["v6"] or match["bare"]))
    except ValueError:
        return None


def _peer(text: str | None) -> Address | None:
    try:
        return _plain(ip_address(text or ""))
    except ValueError:
        return None  # a Unix socket has no address


def _plain(address: Address) -> Address:
    """Without zone, and as IPv4 where it is that: one client has one address."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def _network(text: str) -> Network:
    shown = repr(text)[:60]
    rule = "must be an address or a network such as 10.0.0.7, 10.0.0.0/8 or fd00::/8"
    host, slash, length = text.partition("/")
    if "%" in text or (slash and not (length.isascii() and length.isdecimal())):
        raise ValueError(f"{shown} {rule}")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown} {rule}") from None
    if slash and str(network.network_address) != str(ip_address(host)):
        raise ValueError(f"{shown} has bits behind its /{length}; write {network}")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        low = int(network.network_address) & 0xFFFF_FFFF
        network = IPv4Network((low, network.prefixlen - 96))
    if network.prefixlen == 0:
        raise ValueError(f"{shown} trusts everybody: anybody could be any client")
    return network
