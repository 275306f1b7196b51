"""HTTP out: one attempt of a callback, sent from a given local address."""

import errno
import socket
from dataclasses import dataclass

import aiohttp

from agora_sidecar.emulator.options import EmulatorError

CONNECTIONS_PER_ADDRESS = 64
READ_LIMIT = 65_536
"""Bytes of an answer that are read, to use its connection again; the content is irrelevant."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where notifications go, and the seconds (real ones) within which they must be answered."""

    url: str
    timeout: float


class Senders:
    """One HTTP session for each source address."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def open(self, addresses: tuple[str, ...]) -> None:
        """Prepare to send from these addresses.

        Raises:
            EmulatorError: this machine cannot send from one of them.
        """
        for address in addresses:
            _demand_bindable(address)
        timeout = aiohttp.ClientTimeout(total=self._destination.timeout)
        for address in addresses:
            self._sessions[address] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    local_addr=(address, 0), limit=CONNECTIONS_PER_ADDRESS
                ),
                timeout=timeout,
            )

    async def post(self, body: bytes, headers: dict[str, str], *, source: str) -> int | None:
        """The HTTP status of the answer; None for no answer in time, or none at all."""
        try:
            async with self._sessions[source].post(
                self._destination.url,
                data=body,
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
            ) as response:
                await response.content.read(READ_LIMIT)
                return response.status
        except (aiohttp.ClientError, OSError):  # TimeoutError is one of these
            return None

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def _demand_bindable(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        why = errno.errorcode.get(error.errno or 0, str(error))
        raise EmulatorError(
            f"sources: cannot send from {address} ({why}): it must be an address of this machine,"
            " such as one of 127.0.0.0/8"
        ) from error
