"""The program `nft`: run once with a script, or listened to while others change things.

A subprocess and not the library: some errors of libnftables end the process that it is in. What we
changed ourselves is told apart from what others did by the number of the process that did it.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass

from scheduler.allowlist.targets import TargetError

TIMEOUT = 5.0
"""Seconds for one `nft`; a change takes about 20 ms."""
REMEMBERED = 64
"""Numbers of our own processes that are kept to recognise what they did."""
_OWN: deque[int] = deque(maxlen=REMEMBERED)
"""Numbers of this process's `nft`s: what these change is no drift."""
_GENERATION = re.compile(r"^# new generation \d+ by process (\d+) \((.*)\)$")


class NothingThereError(TargetError):
    """The kernel has no such table or set."""


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody else changed a table that we watch; `writer` is the name of the program."""

    writer: str


@dataclass(frozen=True, slots=True)
class Nft:
    """Where it is, and on whose behalf errors are raised."""

    path: str = "nft"

    async def run(self, target: str, *arguments: str, stdin: str = "") -> str:
        """What it printed. Raises TargetError, NothingThereError."""
        process = await self._started(target, *arguments)
        _OWN.append(process.pid)
        try:
            async with asyncio.timeout(TIMEOUT):
                output, errors = await process.communicate(stdin.encode())
        except TimeoutError as error:
            raise TargetError(target, f"nft took more than {TIMEOUT:.0f} s") from error
        finally:
            await _ended(process)
        if process.returncode:
            raise failure(target, errors.decode(errors="replace").strip())
        return output.decode(errors="replace")

    async def changes(self, tables: Collection[str]) -> AsyncGenerator[Change, None]:
        """What others change in these tables, given by family and name, from now on.

        Raises:
            TargetError: it cannot be listened to, or that ended.
        """
        process = await self._started("nftables", "monitor")
        try:
            touched = False
            # a flushed ruleset is one line for each object, ours among them
            async for raw in _lines(process):
                line = raw.decode(errors="replace").rstrip("\n")
                made = _GENERATION.match(line)
                if made is None:
                    touched = touched or any(f" {table}" in line for table in tables)
                elif touched:
                    touched = False
                    if int(made[1]) not in _OWN:
                        yield Change(made[2])
        except ValueError as error:  # a line longer than anything nft says
            raise TargetError("nftables", f"nft monitor cannot be read: {error}") from error
        finally:
            await _ended(process)
        raise TargetError("nftables", "nft monitor ended")

    async def _started(self, target: str, *arguments: str) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *(self.path, *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=2**20,
            )
        except OSError as error:
            why = f"{self.path} cannot be run ({error.strerror}); install nftables"
            raise TargetError(target, why) from error


def failure(target: str, said: str) -> TargetError:
    """The error for what `nft` said."""
    if "No such file or directory" in said:
        return NothingThereError(target, said[-200:])
    if "Operation not permitted" in said:
        return TargetError(target, "not permitted: the process needs CAP_NET_ADMIN")
    if "Too many open files in system" in said:
        why = "the kernel's set is full; raise max_entries"
        return TargetError(target, f"nft refused: {why}")
    return TargetError(target, f"nft refused: {said[-300:]}")


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    while process.stdout is not None and (line := await process.stdout.readline()):
        yield line


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
