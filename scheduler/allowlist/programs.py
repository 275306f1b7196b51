"""Programs that targets start: no shell, bounded in time and output, without our secrets."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

MAX_OUTPUT = 1024 * 1024
"""Bytes of each of its two outputs; a list has a few KiB."""
SAID = 200
"""Characters of a failed program's last words that are passed on."""
OURS = "SIDECAR_"
"""Variables that begin so are our settings, secrets among them: no program is given them."""


class ProgramError(Exception):
    """A program that could not be run, or did not end as it should; the message says how."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and what it wrote."""

    program: str
    code: int
    output: bytes
    errors: bytes

    def demand_success(self) -> None:
        """See that it ended with 0.

        Raises:
            ProgramError: it did not; with its last words.
        """
        if self.code:
            said = (self.errors + b"\n" + self.output).decode(errors="replace").strip()[-SAID:]
            raise ProgramError(f"{self.program} exited with {self.code}: {said}")


async def run(
    words: Sequence[str],
    *,
    within: float,
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Start it, give it its input, and wait for its end; at most `within` seconds.

    A program that takes longer or writes more is killed, with all that it started.

    Raises:
        ProgramError: it cannot be started, takes too long, or writes too much.
    """
    inherited = {name: v for name, v in os.environ.items() if not name.startswith(OURS)}
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=inherited | dict(variables or {}),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ProgramError(f"{words[0]} cannot be run: {why}") from error
    try:
        async with asyncio.timeout(within):
            output, errors = await _talk(process, words[0], stdin)
            code = await process.wait()
    except TimeoutError as error:
        raise ProgramError(f"{words[0]} took more than {within:g} s") from error
    finally:
        if process.returncode is None:
            await _kill(process)
    return Ended(words[0], code, output, errors)


async def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # asyncio sees no end before the pipes are empty; one that left its group may hold them open
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            for stream in (process.stdout, process.stderr):
                while stream is not None and await stream.read(65_536):
                    pass
            await process.wait()


async def _talk(process: Process, program: str, stdin: bytes) -> tuple[bytes, bytes]:
    sides = [
        asyncio.create_task(_feed(process, stdin)),
        asyncio.create_task(_whole(process.stdout, program)),
        asyncio.create_task(_whole(process.stderr, program)),
    ]
    try:
        _, output, errors = await asyncio.gather(*sides)
    finally:
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
    return output, errors


async def _feed(process: Process, stdin: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - it was asked for
    with suppress(BrokenPipeError, ConnectionResetError):  # it need not read its input
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()
    return b""


async def _whole(stream: asyncio.StreamReader | None, program: str) -> bytes:
    assert stream is not None  # noqa: S101 - it was asked for
    found = bytearray()
    while chunk := await stream.read(65_536):
        found += chunk
        if len(found) > MAX_OUTPUT:
            raise ProgramError(f"{program} wrote more than {MAX_OUTPUT // 1024} KiB")
    return bytes(found)
