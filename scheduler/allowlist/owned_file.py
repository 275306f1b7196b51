"""A file that is ours: written beside it, forced to disk, and renamed over it.

Whoever reads it sees the old text or the new one, whole. The file before is kept with `.previous`
behind its name. That its reader is still to be told is kept on disk as well, so that we may be
killed between the rename and the telling. A file without our mark is never overwritten.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

MAX_FILE = 1024 * 1024
"""Bytes; a list has a few KiB."""


class OwnedFileError(Exception):
    """The file cannot be read or written; the message says why."""


@dataclass(frozen=True, slots=True)
class OwnedFile:
    """One file, and the three beside it that belong to it."""

    path: Path

    @property
    def new(self) -> Path:
        """What is to become the file."""
        return self.path.with_name(f".{self.path.name}.new")

    @property
    def _owed(self) -> Path:
        return self.path.with_name(f".{self.path.name}.not-reloaded")

    def read(self) -> str | None:
        """What stands there; None if nothing does. Raises OwnedFileError."""
        try:
            with self.path.open("rb") as file:
                return file.read(MAX_FILE).decode(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OwnedFileError(f"cannot be read: {error.strerror}") from error

    def prepare(self, text: str) -> None:
        """Write the new file beside it. Raises OwnedFileError."""
        try:
            write_through(self.new, text.encode())
            self.new.chmod(0o644)
        except OSError as error:
            raise _not_written(error) from error

    def swap(self, *, owed: bool) -> None:
        """Rename the new file over it; `owed`: note that its reader must be told.

        Raises:
            OwnedFileError: the old one is still there.
        """
        try:
            self._keep_previous()
            if owed:
                self._owed.touch()
            put_in_place(self.new, self.path)
        except OSError as error:
            raise _not_written(error) from error

    def is_owed(self) -> bool:
        """Whether its reader was not told yet."""
        return self._owed.exists()

    def told(self) -> None:
        """Note that its reader knows."""
        self._owed.unlink(missing_ok=True)

    def discard(self) -> None:
        """Take away what was prepared and not used."""
        self.new.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the file away. Raises OwnedFileError."""
        try:
            self.path.unlink()
        except OSError as error:
            raise OwnedFileError(f"cannot be removed: {error.strerror}") from error
        self.told()

    def _keep_previous(self) -> None:
        if self.path.exists():
            previous = self.path.with_name(f"{self.path.name}.previous")
            previous.unlink(missing_ok=True)
            try:
                os.link(self.path, previous)
            except OSError:  # no links there, or it is another user's: root made the first one
                shutil.copyfile(self.path, previous)


def write_through(path: Path, content: bytes) -> None:
    """Write a file and force it to disk. Raises OSError."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def put_in_place(new: Path, path: Path) -> None:
    """Rename one file over another, and force the rename to disk. Raises OSError."""
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _not_written(error: OSError) -> OwnedFileError:
    why = f"cannot be written: {error.strerror}; is there a folder, space, permission?"
    return OwnedFileError(why)
