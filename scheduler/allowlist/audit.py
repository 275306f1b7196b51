"""What was polled, ordered and changed, one JSON object a line, only ever appended.

A file that is full is set aside with a number behind its name, and the oldest of those goes: the
record is bounded, and its end is always there.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import structlog

log = structlog.get_logger()

FULL = 8 * 1024 * 1024
"""Bytes of one file: years of an ordinary list."""
KEPT = 4
"""Files that were full."""
RECENT = 20
"""Records that are kept in memory, for the status."""


class Audit:
    """A record in files. A full disk costs a line, never a change: it is said in the log."""

    def __init__(self, path: Path, *, full: int = FULL) -> None:
        self._path = path
        self._full = full
        self._recent: deque[dict[str, Any]] | None = None

    def write(self, kind: str, at: float, **facts: Any) -> None:
        """Append a record of this kind; `at` is Unix seconds."""
        record = {"kind": kind, "at": at, **facts}
        self._remembered().append(record)
        line = msgspec.json.encode(record) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._make_room()
            with self._path.open("ab") as file:
                # behind half a line, which a full disk or a crash left there
                file.write(line if _ends_whole(self._path) else b"\n" + line)
        except OSError as error:
            log.error("allowlist.audit_failed", path=str(self._path), why=error.strerror)

    def read(self, *, last: int) -> list[dict[str, Any]]:
        """The last records, oldest first; a line that was cut off is left out."""
        return list(islice(self._backwards(), last))[::-1]

    def recent(self) -> list[dict[str, Any]]:
        """The last few records, oldest first, without a look at the disk after the first."""
        return list(self._remembered())

    def _remembered(self) -> deque[dict[str, Any]]:
        if self._recent is None:
            self._recent = deque(self.read(last=RECENT), maxlen=RECENT)
        return self._recent

    def _backwards(self) -> Iterator[dict[str, Any]]:
        for number in range(KEPT + 1):
            try:
                lines = self._numbered(number).read_bytes().splitlines()
            except OSError:
                continue
            for line in reversed(lines):
                try:
                    found = msgspec.json.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if isinstance(found, dict) and "kind" in found and "at" in found:
                    yield found

    def _make_room(self) -> None:
        if not self._path.exists() or self._path.stat().st_size < self._full:
            return
        for number in range(KEPT, 0, -1):
            if (newer := self._numbered(number - 1)).exists():
                newer.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"
