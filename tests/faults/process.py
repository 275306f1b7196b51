"""One program that is killed, stopped and started again; each start has a log of its own."""

import asyncio
import inspect
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path


async def wait_for(condition: Callable[[], bool | Awaitable[bool]], seconds: float) -> bool:
    """Whether it came true within these seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if await value if inspect.isawaitable(value) else value:
            return True
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)


class Process:
    """A program and its logs `NAME-1.log`, `NAME-2.log`, … in `folder`.

    `meant` says that it is down because we wanted it. `piped` writes the log through a pipe, so
    that a limit on the files of the program is none on its log.
    """

    def __init__(
        self, name: str, command: tuple[str, ...], folder: Path, *, piped: bool = False
    ) -> None:
        self.name = name
        self.meant = True
        self._command = command
        self._folder = folder
        self._piped = piped
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs (or is stopped)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid if self._process else None

    @property
    def logs(self) -> list[Path]:
        """One file for each start, in order."""
        return [self._folder / f"{self.name}-{n}.log" for n in range(1, self._starts + 1)]

    def start(self) -> None:
        """Start it unless it runs."""
        if self.alive:
            return
        self._starts += 1
        with self.logs[-1].open("wb") as file:
            if self._piped:
                self._writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._writer.stdin if self._writer else file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONFAULTHANDLER": "1"},
            )
        if self._writer and self._writer.stdin:
            self._writer.stdin.close()
        self.meant = False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self._process is not None:
            self._process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.meant = True
        self.signal(signal.SIGKILL)
        await wait_for(lambda: not self.alive, 10)
        if self._writer:
            await wait_for(lambda: self._writer is None or self._writer.poll() is not None, 2)

    async def terminate(self, within: float) -> int | None:
        """SIGTERM; its exit code, None when it has not ended within these seconds."""
        self.meant = True
        self.signal(signal.SIGTERM)
        if not await wait_for(lambda: not self.alive, within):
            return None
        return self._process.returncode if self._process else 0

    def words(self) -> str:
        """How it ended and the last that it said."""
        text = self.logs[-1].read_text(errors="replace") if self._starts else ""
        code = self._process.poll() if self._process else None
        said = " / ".join(text.splitlines()[-3:])
        return f"exit code {code}: {said[-1500:] or 'it said nothing'}"
