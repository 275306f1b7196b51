"""Which file of the spool is whose: one locked file for each process, free ones to be adopted.

The lock is the kernel's (flock) and ends with its process, however that ends. The lock file holds
the process id, for people; nothing is decided by it.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from receiver.spool.journal import JournalError

SLOTS = 256
"""Files in one folder; a host has at most 64 workers."""
_NAME = re.compile(r"(spool-\d{1,3}\.db)(\.salvage)?")
"""The second alone is left by a salvage that was killed just before its end."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A file that this process holds."""

    path: Path
    _lock: int

    def release(self) -> None:
        """Let others have it."""
        os.close(self._lock)


@dataclass(frozen=True, slots=True)
class Found:
    """A file in the folder, and the process that holds it (0: nobody)."""

    path: Path
    holder: int


def claim_own(folder: Path) -> Slot:
    """The lowest file that nobody holds, for this process to write to.

    Raises:
        JournalError: the folder cannot be used, or all files are held.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(SLOTS):
            slot = _claim(folder / f"spool-{number}.db")
            if slot is not None:
                return slot
    except OSError as error:
        raise JournalError("disk", f"{folder}: {error.strerror or error}") from error
    raise JournalError("disk", f"{folder}: {SLOTS} files are held by other processes")


def claim_orphans(folder: Path) -> Iterator[Slot]:
    """Files that nobody holds, each claimed when it is reached; release it.

    Raises:
        JournalError: the folder cannot be read.
    """
    try:
        for path in _files(folder):
            slot = _claim(path)
            if slot is not None:
                yield slot
    except OSError as error:
        raise JournalError("disk", f"{folder}: {error.strerror or error}") from error


def files(folder: Path) -> list[Found]:
    """Every file, and who holds it.

    Raises:
        JournalError: the folder cannot be read.
    """
    try:
        return [Found(path, _holder(path)) for path in _files(folder)]
    except OSError as error:
        raise JournalError("disk", f"{folder}: {error.strerror or error}") from error


def damaged(folder: Path) -> list[Path]:
    """Files that were set aside, for a person to look at and delete."""
    return sorted(p for p in folder.glob("spool-*.db.damaged-*") if not p.name.endswith("-wal"))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    names = {found[1] for path in folder.iterdir() if (found := _NAME.fullmatch(path.name))}
    return sorted(folder / name for name in names)


def _lock_file(path: Path) -> Path:
    return path.with_suffix(".lock")


def _claim(path: Path) -> Slot | None:
    lock = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    with suppress(OSError):  # on a full disk the lock holds without it
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return Slot(path, lock)


def _holder(path: Path) -> int:
    try:
        lock = os.open(_lock_file(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(lock, 16, 0).decode(errors="replace").strip() or 0)
    finally:
        os.close(lock)
    return 0
