"""Saves what a damaged file still holds, and sets it aside under another name. Never deletes it.

The rows that can be read, and whose checksum is right, go to a new file, which takes the place of
the damaged one. A crash on the way leaves either the damaged file in its place (it is salvaged
anew) or the finished new one. Rows get new numbers, above every number the damaged file had: what
was read from the one names nothing in the other.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

import structlog

from agora_sidecar.stream import Append
from receiver.spool.journal import Journal, JournalError
from receiver.spool.row import ONE, read_row

log = structlog.get_logger()

REACH = 200_000
"""Numbers looked at beyond those that a file of its size can hold: deleted rows leave gaps, and the
first or the last number may be what the damage made of it."""
SMALLEST = 64
"""Bytes; no row takes less."""
HIGHEST = 1 << 50
"""Numbers above this one are damage: nobody counts so far."""
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
    with closing(_look(path)) as db:
        above = max(_end(db), time.time_ns() // 1_000_000)
    journal = Journal(fresh, limit=1 << 62)
    try:
        journal.number_above(above)
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
        aside = set_aside(path)
        _finish(path)
    except OSError as error:
        raise JournalError("disk", f"cannot set {path} aside: {error}") from error
    log.error("spool.salvaged", file=str(path), rows=saved, set_aside=str(aside))


def _readable(path: Path) -> Iterator[tuple[Append, int]]:
    reach = REACH + path.stat().st_size // SMALLEST
    with closing(_look(path)) as db:
        for number in chain(*_spans(db, reach=reach)):
            try:
                found = db.execute(ONE, (number,))
                row = found.fetchone()
            except UNREADABLE:
                continue  # on a page that is damaged
            read = read_row(row) if row else None
            if read is not None and read.item is not None:
                yield read.item, read.received_ms


def _look(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:  # that it cannot be opened now says nothing of what it holds
        raise JournalError("disk", f"cannot open {path}: {error}") from error
    db.text_factory = bytes
    return db


def _spans(db: sqlite3.Connection, *, reach: int) -> list[range]:
    """Where rows may be: everywhere between the ends, or `reach` from each that seems to be one."""
    first, last = _number(db, "SELECT min(id) FROM notices"), _end(db)
    if not first and not last:
        return []  # there is no table that can be read
    last = last or first + reach
    first = min(max(1, first or last - reach), last)
    if last - first <= reach:
        return [range(first, last + 1)]
    return [range(first, first + reach), range(last - reach, last + 1)]


def _end(db: sqlite3.Connection) -> int:
    ends = (
        _number(db, "SELECT max(id) FROM notices"),
        _number(db, "SELECT seq FROM sqlite_sequence WHERE name = 'notices'"),
    )
    return max((end for end in ends if 0 < end < HIGHEST), default=0)


def _number(db: sqlite3.Connection, query: str) -> int:
    try:
        row = db.execute(query).fetchone()
    except UNREADABLE:
        return 0
    return int(row[0] or 0) if row else 0


def set_aside(path: Path) -> Path:
    """Give a closed file the name under which a person finds it; which."""
    aside = _aside(path)
    path.rename(aside)
    _set_log_aside(path, aside)
    return aside


def _set_log_aside(path: Path, aside: Path) -> None:
    log_file = path.with_name(path.name + "-wal")
    if log_file.exists():
        log_file.rename(aside.with_name(aside.name + "-wal"))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")


def _finish(path: Path) -> None:
    fresh = _fresh(path)
    if fresh.exists() and not path.exists():
        # a log that is still there is the damaged file's: SQLite would write it into the new one
        _set_log_aside(path, _aside(path))
        fresh.rename(path)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".salvage")
