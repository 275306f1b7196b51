"""Ask Agora for the addresses of its notification servers.

The client walks the hosts; the paths are walked here: both are documented, and a 404 of one is
answered by trying the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from agora_sidecar.agora.addresses import read_hosts
from agora_sidecar.agora.errors import AddressListError, ApiError


class Asks(Protocol):
    """Who asks Agora."""

    async def address_list(self, path: str, *, avoid: str = "") -> tuple[str, bytes]:
        """Host and body of a 200, of another host than `avoid` if it can be; raises ApiError."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """Values of `primaryIP` as they came, where from, and the digest of the bodies."""

    values: tuple[Any, ...]
    paths: tuple[str, ...]
    digest: str
    host: str = ""


class Source:
    """The address list; `use_all` takes the union of all paths, not the first that answers."""

    def __init__(self, client: Asks, *, paths: Sequence[str], use_all: bool = False) -> None:
        self._client = client
        self._paths = tuple(paths)
        self._use_all = use_all

    async def ask(self, *, avoid: str = "") -> Answer:
        """What the vendor says now; another host than `avoid` where there is one.

        Raises:
            AddressListError: no usable answer; with `use_all`, not from every path.
        """
        values: tuple[Any, ...] = ()
        bodies: list[bytes] = []
        answered: list[str] = []
        host = ""
        problem: AddressListError | None = None
        for path in self._paths:
            try:
                host, body = await self._client.address_list(path, avoid=avoid)
                values += read_hosts(body)
            except ApiError as error:
                problem = problem or AddressListError("unreachable", str(error))
            except AddressListError as error:
                problem = problem or error
            else:
                bodies.append(body)
                answered.append(path)
                if not self._use_all:
                    break
        if problem and (self._use_all or not answered):
            raise problem
        return Answer(values, tuple(answered), sha256(b"\n".join(bodies)).hexdigest(), host)
