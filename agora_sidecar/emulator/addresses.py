"""Where callbacks come from: the pool, the ones in use, and the address list's answers (pure)."""

from typing import Any

import msgspec

THOUSANDS = 5000


class AddressPool:
    """The sender's addresses: `current` are published and used, the others wait for a rotation."""

    def __init__(self, addresses: tuple[str, ...], *, published: int) -> None:
        self.all = addresses
        self._published = min(published, len(addresses))
        self._first = 0

    @property
    def current(self) -> tuple[str, ...]:
        """The addresses in use."""
        size = len(self.all)
        return tuple(self.all[(self._first + n) % size] for n in range(self._published))

    def rotate(self) -> tuple[str, ...]:
        """Move on to the next ones of the pool, around its end."""
        self._first = (self._first + self._published) % len(self.all)
        return self.current


def list_body(addresses: tuple[str, ...], kind: str = "normal") -> tuple[str, bytes]:
    """Content type and body of `GET /v1/ncs/ip`; `kind` is one of `faults.ADDRESS_LISTS`.

    Source: Docs-Source `cloud-recording/rest-api/ncs-ip.mdx`.
    """
    if kind == "html":
        return "text/html", b"<html><body>502 Bad Gateway</body></html>"
    hosts: dict[str, list[Any]] = {
        "normal": list(addresses),
        "empty": [],
        "numbers": list(range(len(addresses))),
        "everything": [*addresses, "0.0.0.0/0"],
        "private": [*addresses, "10.0.0.1", "192.168.1.1"],
        "duplicates": [*addresses, *addresses],
        "thousands": [f"198.18.{n // 250}.{n % 250 + 1}" for n in range(THOUSANDS)],
    }
    if kind == "null":
        return "application/json", b"null"
    body = {"data": {"service": {"hosts": [{"primaryIP": a} for a in hosts[kind]]}}}
    return "application/json", msgspec.json.encode(body)
