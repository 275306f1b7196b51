"""Saves what a damaged file still holds, and sets it aside under another name. Never deletes it.

The rows that can be read, and whose checksum is right, go to a new file, which takes the place of
the damaged one. A crash on the way leaves either the damaged file in its place (it is salvaged
anew) or the finished new one.
"""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from agora_sidecar.stream import Append
from receiver.spool.journal import Journal, JournalError
from receiver.spool.row import ONE, read_row

log = structlog.get_logger()

REACH = 2_000_000
"""Rows looked for below the last one, where the first cannot be told."""
BATCH = 500
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""The second is an error as well: its message quotes the file, which need not be UTF-8."""


def open_journal(path: Path, *, limit: int) -> tuple[Journal, bool]:
    """The journal at this path, and whether it had to be salvaged.

    Raises:
        JournalError: it can neither be opened nor replaced.
    """
    _finish(path)
    try:
        return Journal(path, limit=limit), False
    except JournalError as error:
        if error.kind != "damaged":
            raise
        log.error("spool.damaged", file=str(path), why=error.detail)
    salvage(path)
    return Journal(path, limit=limit), True


def salvage(path: Path) -> None:
    """Put a new file with every readable row in the place of a damaged one, which is set aside.

    Raises:
        JournalError: the damaged file stands where it stood.
    """
    fresh = _fresh(path)
    _remove(fresh)
    saved = 0
    journal = Journal(fresh, limit=1 << 62)
    try:
        batch: list[tuple[Append, int]] = []
        for entry in _readable(path):
            batch.append(entry)
            saved += 1
            if len(batch) >= BATCH:
                journal.put(batch)
                batch = []
        journal.put(batch)
        journal.shrink()
    finally:
        journal.close()
    try:
        aside = _set_aside(path)
        _finish(path)
    except OSError as error:
        raise JournalError("disk", f"cannot set {path} aside: {error}") from error
    log.error("spool.salvaged", file=str(path), rows=saved, set_aside=str(aside))


def _readable(path: Path) -> Iterator[tuple[Append, int]]:
    try:
        db = sqlite3.connect(path, isolation_level=None)
        db.text_factory = bytes
    except UNREADABLE:
        return
    try:
        for number in range(*_span(db)):
            try:
                found = db.execute(ONE, (number,))
                row = found.fetchone()
            except UNREADABLE:
                continue  # on a page that is damaged
            read = read_row(row) if row else None
            if read is not None and read.item is not None:
                yield read.item, read.received_ms
    finally:
        db.close()


def _span(db: sqlite3.Connection) -> tuple[int, int]:
    last = max(
        _number(db, "SELECT max(id) FROM notices"),
        _number(db, "SELECT seq FROM sqlite_sequence WHERE name = 'notices'"),
    )
    first = _number(db, "SELECT min(id) FROM notices")
    return (first or max(1, last - REACH), last + 1)


def _number(db: sqlite3.Connection, query: str) -> int:
    try:
        row = db.execute(query).fetchone()
    except UNREADABLE:
        return 0
    return int(row[0] or 0) if row else 0


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")
    path.rename(aside)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        wal.rename(aside.with_name(aside.name + "-wal"))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    return aside


def _finish(path: Path) -> None:
    fresh = _fresh(path)
    if fresh.exists() and not path.exists():
        fresh.rename(path)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".salvage")
