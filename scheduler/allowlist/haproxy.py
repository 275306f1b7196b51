"""A running HAProxy: what it admits, and how that is replaced in one step, without a reload.

Over its admin socket: `prepare acl`, `add acl @version` and `commit acl @version`. Nothing of a new
version is in force before the commit, which drops every older one with it. What was changed so is
forgotten when HAProxy ends; it reads the file then.
"""

import asyncio
import re
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path

from scheduler.allowlist.addresses import Address, in_order

TIMEOUT = 5.0
"""Seconds for one command."""
MAX_ANSWER = 1024 * 1024
AT_ONCE = 25
"""Addresses in one line of commands; HAProxy reads at most 16 KiB at a time."""

_VERSION = re.compile(r"New version created: (\d+)")


class HaproxyError(Exception):
    """HAProxy cannot be asked, or refused; the message says which."""


class Runtime:
    """The list that a running HAProxy loaded from `path`, as its configuration writes that path."""

    def __init__(self, socket: Path, path: Path) -> None:
        self._socket = socket
        self._path = path

    async def admitted(self) -> set[Address]:
        """Who is admitted now. Raises HaproxyError."""
        answer = await self._ask(f"show acl {self._path}")
        lines = [line.split() for line in answer.splitlines() if line]
        if any(len(words) != 2 or not words[0].startswith("0x") for words in lines):
            raise self._refused(answer)
        try:
            return {ip_address(pattern) for _, pattern in lines}
        except ValueError as error:
            raise HaproxyError(f"its list holds what is no address: {error}") from error

    async def replace(self, addresses: Collection[Address]) -> None:
        """Admit these and nobody else, from one moment to the next. Raises HaproxyError."""
        if not addresses:
            raise HaproxyError("refused: an empty list")
        answer = await self._ask(f"prepare acl {self._path}")
        version = _VERSION.search(answer)
        if version is None:
            raise self._refused(answer)
        wanted = in_order(addresses)
        for start in range(0, len(wanted), AT_ONCE):
            add = f"add acl @{version[1]} {self._path}"
            await self._do("; ".join(f"{add} {a}" for a in wanted[start:][:AT_ONCE]))
        await self._do(f"commit acl @{version[1]} {self._path}")

    async def _do(self, command: str) -> None:
        if answer := await self._ask(command):
            raise self._refused(answer)

    def _refused(self, answer: str) -> HaproxyError:
        said = answer.strip()[:200]
        if "Unknown ACL" in said:
            return HaproxyError(f"HAProxy loaded no ACL with -f {self._path}")
        if "ermission denied" in said:
            return HaproxyError("its socket must be one of level admin")
        return HaproxyError(f"HAProxy refused: {said}")

    async def _ask(self, command: str) -> str:
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                try:
                    writer.write(f"{command}\n".encode())
                    await writer.drain()
                    return (await _whole(reader)).decode(errors="replace").strip()
                finally:
                    writer.close()
        except TimeoutError as error:
            raise HaproxyError(f"no answer on {self._socket} in {TIMEOUT:.0f} s") from error
        except OSError as error:
            raise HaproxyError(f"{self._socket} cannot be used: {error.strerror}") from error


async def _whole(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while chunk := await reader.read(65_536):
        found += chunk
        if len(found) > MAX_ANSWER:
            raise HaproxyError("its answer is too long")
    return bytes(found)
