"""What was polled and what was changed, one JSON object a line, only ever appended."""

from pathlib import Path
from typing import Any

import msgspec
import structlog

log = structlog.get_logger()


class Audit:
    """One file of records. A full disk costs a record, never a change: it is said in the log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, kind: str, at: float, **facts: Any) -> None:
        """Append a record of this kind; `at` is Unix seconds."""
        line = msgspec.json.encode({"kind": kind, "at": at, **facts}) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            log.error("allowlist.audit_failed", path=str(self._path), why=error.strerror)

    def read(self, *, last: int) -> list[dict[str, Any]]:
        """The last records, oldest first; a line that was cut off is left out."""
        try:
            lines = self._path.read_bytes().splitlines()[-last:]
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                found.append(msgspec.json.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        return found
