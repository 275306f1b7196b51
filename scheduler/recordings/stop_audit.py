"""Every call of `stop` and every one that was withheld, with the reason: one JSON object a line."""

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import structlog

log = structlog.get_logger()

MAX_BYTES = 8 * 1024 * 1024
"""Then a new file is begun; one old one is kept: some 80,000 records together."""


class StopAudit:
    """Only ever appended. A full disk costs a record, never a stop: it is said in the log."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._problem = ""

    def write(self, **facts: Any) -> None:
        """Append a record."""
        line = msgspec.json.encode(facts) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._rotate(len(line))
            with self._path.open("ab", buffering=0) as file:
                before = file.tell()
                if file.write(line) < len(line):  # a part of a line would spoil the next one
                    file.truncate(before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            why = error.strerror or repr(error)
            if why != self._problem:
                log.error("recording.audit_failed", path=str(self._path), why=why)
            self._problem = why
        else:
            self._problem = ""

    def _rotate(self, more: int) -> None:
        if self._path.exists() and self._path.stat().st_size + more > self._max_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
