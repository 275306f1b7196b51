"""A small world for each seed: its own processes, mounts and network, gone with its first process.

Where the kernel does not allow it (no unprivileged namespaces) seeds run without: on free ports,
and with a limit on the size of files instead of a full disk.
"""

import fcntl
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

UNSHARE = (
    *("unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork"),
    "--kill-child=SIGKILL",  # whatever ends unshare ends the seed, and with it all its processes
)
DISK = 16 << 20
"""Bytes of the small disk."""
FILLER = 64 << 10
_SET_FLAGS, _UP = 0x8914, 0x1 | 0x40
"""SIOCSIFFLAGS; IFF_UP and IFF_RUNNING."""


def available() -> bool:
    """Whether this machine lets us have such a world; tried once with all it needs."""
    command = (*UNSHARE, sys.executable, "-m", "tests.faults.sandbox")
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def enter() -> None:
    """Make the network of this world usable.

    Raises:
        OSError: it is not allowed.
    """
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))


def ports(count: int, *, sandboxed: bool) -> list[int]:
    """Ports that nobody uses, below those that the kernel gives to outgoing connections."""
    found: list[int] = []
    rng = random.Random("ports" if sandboxed else f"ports {os.getpid()}")
    while len(found) < count:
        port = rng.randrange(12_000, 32_000)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
    return found


class Disk(Protocol):
    """The disk on which the receiver keeps its data."""

    def fill(self) -> None:
        """Leave no room; called again and again while it is to be full."""
        ...

    def empty(self) -> None:
        """Give all room back."""
        ...


class SmallDisk:
    """A tmpfs that is filled up with a file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._filler = folder / "filler"
        options = f"size={DISK},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", str(folder)], check=True)

    def fill(self) -> None:
        """Write until there is no room."""
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (FILLER, 512, 1):
                with suppress(OSError):
                    while os.write(file, b"x" * size):
                        pass
        finally:
            os.close(file)

    def empty(self) -> None:
        """Remove what was written."""
        self._filler.unlink(missing_ok=True)


class LimitedFiles:
    """No file of a process may grow: the nearest thing to a full disk without a mount."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.pid: int | None = None

    def fill(self) -> None:
        """No file may become longer than the longest one is."""
        files = [path.stat().st_size for path in self._folder.rglob("*") if path.is_file()]
        self._limit(max(files, default=0))

    def empty(self) -> None:
        """They may grow again."""
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):
                resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def end_with(parent: int) -> None:
    """End this process and all it started; `parent` is the pipe whose end was reached."""
    os.close(parent)
    os.killpg(0, signal.SIGKILL)
    os._exit(1)  # the first process of a world is immune to its own signals


def main() -> None:
    """Try everything that a seed needs."""
    enter()
    with tempfile.TemporaryDirectory() as folder:
        disk = SmallDisk(Path(folder) / "disk")
        disk.fill()
        disk.empty()
        subprocess.run(["umount", str(Path(folder) / "disk")], check=True)


if __name__ == "__main__":
    main()
