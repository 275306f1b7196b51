"""Who was not listed and came all the same: the knock sets, read over netlink.

What the packet path puts into a set raises no event, so the sets are read again and again; a
subprocess for each look would be too much, and the library ends our process on some errors. This
speaks the few bytes of the kernel's protocol instead (`linux/netfilter/nf_tables.h`).
"""

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from scheduler.allowlist.addresses import Address

_FAMILY_INET = 1
_GET_SET_ELEMENTS = (10 << 8) | 13  # subsystem nftables, NFT_MSG_GETSETELEM
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_KEY, _EXPRESSION, _EXPRESSIONS = 1, 7, 11
_COUNTER_PACKETS = 2
_NETLINK_NETFILTER = 12
_TYPE = 0x3FFF
"""Without the bits that say nested or in network order."""
_WAIT = 0.5
"""Seconds for the kernel's answer."""


def read_knocks(table: str, sets: tuple[str, ...]) -> dict[Address, int]:
    """Address -> packets, of these sets of `inet TABLE`; a set that is not there holds nobody.

    Raises:
        OSError: the kernel did not answer, or this process may not ask.
    """
    found: dict[Address, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as kernel:
        kernel.settimeout(_WAIT)
        for name in sets:
            kernel.sendto(_question(table, name), (0, 0))
            for elements in _answers(kernel):
                found.update(_counted(elements))
    return found


def _question(table: str, name: str) -> bytes:
    body = struct.pack(">BBH", _FAMILY_INET, 0, 0)
    body += _attribute(_TABLE, table.encode() + b"\0") + _attribute(_SET, name.encode() + b"\0")
    return struct.pack("=IHHII", 16 + len(body), _GET_SET_ELEMENTS, _REQUEST_DUMP, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _answers(kernel: socket.socket) -> Iterator[bytes]:
    """The list of elements in each part of one answer."""
    while True:
        data = kernel.recv(1 << 16)
        at = 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                code = -struct.unpack_from("=i", data, at + 16)[0]
                if code == 2:  # no such table or set
                    return
                raise OSError(code, "the kernel refused to list a set")
            attributes = dict(_attributes(data[at + 20 : at + length]))
            yield attributes.get(_ELEMENTS, b"")
            at += max(16, (length + 3) & ~3)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & _TYPE, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _counted(elements: bytes) -> Iterator[tuple[Address, int]]:
    for _, element in _attributes(elements):
        parts = dict(_attributes(element))
        key = dict(_attributes(parts.get(_KEY, b""))).get(1, b"")
        if len(key) in {4, 16}:
            address = IPv4Address(key) if len(key) == 4 else IPv6Address(key)
            yield address, _packets(parts)


def _packets(parts: dict[int, bytes]) -> int:
    expression = parts.get(_EXPRESSION, b"")
    if _EXPRESSIONS in parts:  # several: a list of them, and ours is the first
        expression = dict(_attributes(parts[_EXPRESSIONS])).get(1, b"")
    data = dict(_attributes(dict(_attributes(expression)).get(2, b"")))
    packets = data.get(_COUNTER_PACKETS, b"")
    return int.from_bytes(packets, "big") if len(packets) == 8 else 0
