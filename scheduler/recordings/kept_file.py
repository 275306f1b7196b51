"""A file of lines by name: appended, now and then written anew, read again with what is damaged.

Each append is on disk before it returns; a new version replaces the old one in one rename. A last
line that was cut off is what a crash leaves and is passed over; any other damage is set aside.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

SLACK = 1000
"""Lines that may be out of date before the file is written anew."""
MAX_BYTES = 256 * 1024 * 1024
"""A longer file is not ours."""


class KeptFile:
    """One file; `lines` holds the latest line of each name. All methods raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, bytes] = {}
        self._written = 0
        self._was_read = False
        self._torn = False

    def read(self, name_of: Callable[[bytes], tuple[str, bool]]) -> tuple[int, Path | None]:
        """Read it; how many lines were damaged, and where the damaged file was set aside.

        `name_of` tells a line's name and whether it takes that away; `ValueError`: damaged.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():
            self._was_read = True
            return 0, None
        if self.path.stat().st_size > MAX_BYTES:
            self._was_read = True
            return 1, self._set_aside()
        raw = self.path.read_bytes()
        self._was_read = True
        whole, _, _ = raw.rpartition(b"\n")
        damaged = 0
        for line in whole.split(b"\n") if whole else []:
            self._written += 1
            try:
                name, gone = name_of(line)
            except ValueError:
                damaged += 1
                continue
            self._take(name, line, gone=gone)
        if not damaged:
            if len(raw) > len(whole) + 1:  # what a crash cut off: the next line must begin anew
                self.write_anew()
            return 0, None
        aside = self._set_aside()
        self.write_anew()
        return damaged, aside

    def append(self, name: str, line: bytes, *, gone: bool = False) -> None:
        """Add a line, on disk when this returns."""
        self._take(name, line, gone=gone)
        if self._torn or self._written > 2 * len(self.lines) + SLACK:
            self.write_anew()
            return
        self._torn = True  # until all of it is there
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            written = os.write(descriptor, line + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if written <= len(line):  # a disk that is nearly full takes a part, and says nothing
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = False
        self._written += 1

    def write_anew(self) -> None:
        """Write what counts into a new file, and let it take the old one's place."""
        if not self._was_read:
            raise OSError(errno.EIO, "what is there could not be read, and is not written over")
        new = self.path.with_name(self.path.name + ".new")
        try:
            with open(new, "wb", opener=_private) as file:
                file.writelines(line + b"\n" for line in self.lines.values())
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)  # it takes room where there is none
            raise
        _sync_folder(self.path.parent)
        self._written, self._torn = len(self.lines), False

    def drop(self, names: Iterable[str]) -> None:
        """Take these away."""
        for name in names:
            self.lines.pop(name, None)
        self.write_anew()

    def age(self, now: float) -> float:
        """Seconds since it was written or touched; 0 where there is none."""
        return max(0.0, now - self.path.stat().st_mtime) if self.path.exists() else 0.0

    def touch(self) -> None:
        """Say that this process is alive; what an append could not write is written now."""
        if self._torn or not self._was_read:
            self.write_anew()
        self.path.touch(mode=0o600)

    def _take(self, name: str, line: bytes, *, gone: bool) -> None:
        self.lines.pop(name, None)
        if not gone:
            self.lines[name] = line

    def _set_aside(self) -> Path:
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        self.path.replace(aside)
        return aside


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
