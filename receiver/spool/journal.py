"""One file of the spool: SQLite, WAL, an fsync for each commit. Used from one thread.

A row is an entry of the stream, not given back yet (`taken_ms` is null) or kept as a copy after
the store took it. The once-only key is unique, so a retry of the vendor's makes no second row. The
checksum tells a row that the disk has altered from the one that was written.

Bytes that are refused, a full disk, a file that is damaged: `JournalError`, and nothing of that
commit is in the file.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from agora_sidecar.stream import Append
from receiver.spool.row import INSERT, WAITING, Row, as_row, read_row

CREATE = """
CREATE TABLE IF NOT EXISTS notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mark TEXT NOT NULL UNIQUE,     -- the first once-only key: source and notice id
    stream TEXT NOT NULL,
    marks TEXT NOT NULL,           -- JSON array of Redis keys
    fields TEXT NOT NULL,          -- JSON array of the entry's fields, alternating, but for `data`
    data BLOB NOT NULL,            -- the body as it was signed
    received_ms INTEGER NOT NULL,  -- Unix milliseconds
    taken_ms INTEGER,              -- when the store took it, by the monotonic clock of the process
                                   -- that holds the file; NULL: it has not
    checksum INTEGER NOT NULL
)
"""
ASIDE = """
CREATE TABLE IF NOT EXISTS altered AS SELECT * FROM notices WHERE 0
"""
INDEX = "CREATE INDEX IF NOT EXISTS waiting ON notices (id) WHERE taken_ms IS NULL"
CHECKED = 64 << 20
"""Bytes up to which a file is looked through when it is opened: a larger one would keep a start
waiting for seconds, and says by itself where it is damaged."""
BUSY_TIMEOUT = 2.0
"""Seconds to wait for a reader that looks at the file, such as `spool status`."""


class JournalError(Exception):
    """The file did not take or give what it was asked.

    `kind` is a short word for logs and metrics: `full`, `damaged` or `disk`.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class Facts(msgspec.Struct, frozen=True):
    """What is in a file. `oldest_ms` is the arrival of the oldest waiting row, 0 for none."""

    waiting: int
    copies: int
    oldest_ms: int
    bytes: int


class Journal:
    """An open file; `limit` bounds what it may hold, in bytes.

    Raises:
        JournalError: it cannot be opened, or it is damaged.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        self.path = path
        self._limit = limit
        self._db: sqlite3.Connection | None = None
        with _errors():
            self._db = db = _open(path)
            for statement in (CREATE, ASIDE, INDEX):
                db.execute(statement)
            result = (b"ok",)
            if path.stat().st_size <= CHECKED:
                result = db.execute("PRAGMA quick_check(1)").fetchone()
        if result != (b"ok",):
            self.close()
            raise JournalError("damaged", str(result))

    def put(self, items: Sequence[tuple[Append, int]], *, copies_at: int | None = None) -> None:
        """Write entries with their arrival; on disk when this returns.

        `copies_at` (monotonic milliseconds) writes them as copies of what the store has taken.

        Raises:
            JournalError: none of them is in the file.
        """
        used = self.used()
        if used + sum(len(item.data) for item, _ in items) > self._limit:
            raise JournalError("full", f"{used} of {self._limit} bytes are used")
        rows = [as_row(item, received, copies_at) for item, received in items]
        with _errors(), self._transaction() as db:
            db.executemany(INSERT, rows)

    def waiting(self, *, after: int, count: int) -> list[Row]:
        """The oldest rows behind the row `after` that the store has not taken.

        Raises:
            JournalError: the file does not say.
        """
        with _errors():
            return [read_row(row) for row in self._connection.execute(WAITING, (after, count))]

    def taken(self, ids: Sequence[int], *, keep_at: int | None) -> None:
        """The store has these: delete them, or keep them as copies of that monotonic time (ms).

        Raises:
            JournalError: they are still waiting; giving them back twice is harmless.
        """
        with _errors(), self._transaction() as db:
            if keep_at is None:
                db.executemany("DELETE FROM notices WHERE id = ?", [(row,) for row in ids])
            else:
                sql = "UPDATE notices SET taken_ms = ? WHERE id = ?"
                db.executemany(sql, [(keep_at, row) for row in ids])

    def set_aside(self, ids: Sequence[int]) -> None:
        """Rows that the disk has altered go to the table `altered`, for a person to look at.

        Raises:
            JournalError: they are where they were.
        """
        with _errors(), self._transaction() as db:
            for number in ids:
                db.execute("INSERT INTO altered SELECT * FROM notices WHERE id = ?", (number,))
                db.execute("DELETE FROM notices WHERE id = ?", (number,))

    def altered(self) -> int:
        """How many rows were set aside.

        Raises:
            JournalError: the file does not say.
        """
        with _errors():
            (found,) = self._connection.execute("SELECT count(*) FROM altered").fetchone()
            return int(found)

    def number_above(self, number: int) -> None:
        """Give rows numbers above this one, in a file that has none yet.

        Raises:
            JournalError: they would begin at 1.
        """
        with _errors(), self._transaction() as db:
            db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('notices', ?)", (number,))

    def shrink(self) -> None:
        """Give the disk back what deleted rows took.

        Raises:
            JournalError: it is as large as it was.
        """
        with _errors():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def drop_copies(self, *, before: int) -> int:
        """Delete copies that the store took before this monotonic time (ms); how many.

        Raises:
            JournalError: none is deleted.
        """
        with _errors(), self._transaction() as db:
            return db.execute("DELETE FROM notices WHERE taken_ms < ?", (before,)).rowcount

    def drop_oldest_copies(self) -> int:
        """Delete the older half of the copies, at least one, for events that are nowhere else.

        Raises:
            JournalError: none is deleted.
        """
        with _errors(), self._transaction() as db:
            sql = (
                "DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE taken_ms IS NOT NULL"
                " ORDER BY id LIMIT (SELECT (count(*) + 1) / 2 FROM notices"
                " WHERE taken_ms IS NOT NULL))"
            )
            return db.execute(sql).rowcount

    def offer_again(self) -> int:
        """Every copy waits again, for a store that may have forgotten it; how many.

        Raises:
            JournalError: nothing has changed.
        """
        with _errors(), self._transaction() as db:
            sql = "UPDATE notices SET taken_ms = NULL WHERE taken_ms IS NOT NULL"
            return db.execute(sql).rowcount

    def facts(self) -> Facts:
        """What is in the file.

        Raises:
            JournalError: the file does not say.
        """
        with _errors():
            return facts_of(self._connection)

    def used(self) -> int:
        """Bytes that rows take, without what deleted ones left."""
        with _errors():
            return _used(self._connection)

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise JournalError("disk", "the file is closed")
        return self._db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._connection
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def look(path: Path) -> Facts:
    """What is in a file that somebody else may hold; changes nothing.

    Raises:
        JournalError: it cannot be read.
    """
    with _errors():
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
        try:
            return facts_of(db)
        finally:
            db.close()


def facts_of(db: sqlite3.Connection) -> Facts:
    """What is in the file behind this connection; raises sqlite3.Error."""
    waiting, oldest = db.execute(
        "SELECT count(*), coalesce(min(received_ms), 0) FROM notices WHERE taken_ms IS NULL"
    ).fetchone()
    (copies,) = db.execute("SELECT count(*) FROM notices WHERE taken_ms IS NOT NULL").fetchone()
    return Facts(waiting, copies, oldest, _used(db))


def _open(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    db.text_factory = bytes  # what the disk has altered need not be UTF-8
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # an fsync for each commit
    db.execute("PRAGMA journal_size_limit = 16777216")
    return db


def _used(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        raise JournalError("full" if full else "disk", str(error)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # malformed, or not a database; a message that quotes the file need not be UTF-8
        raise JournalError("damaged", str(error)) from error
    except OSError as error:
        raise JournalError("disk", str(error)) from error
