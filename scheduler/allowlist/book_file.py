"""The book on disk: the last known good list, applied before the first poll.

Written beside it, forced to disk and renamed; with a checksum and a version. A damaged file is set
aside under another name and said aloud, never trusted and never deleted. What the wall clock says
between writing and reading is believed only forward: a clock that went back extends every grace.
"""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from scheduler.allowlist.addresses import Book, Entry, Held, pass_time
from scheduler.allowlist.owned_file import put_in_place, write_through

log = structlog.get_logger()

VERSION = 1
REVISIONS = 64
"""Earlier books that are kept, to go back to."""


class BookFileError(Exception):
    """The book cannot be written; the message says where and why."""


@dataclass(frozen=True, slots=True)
class BookFile:
    """One book in one file."""

    path: Path

    def load(self, *, now: float) -> Book:
        """The book as it is now; an empty one where there is none that can be trusted.

        That one goes on behind the revisions that are kept, or they would push its own out.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return self._empty()
        except OSError as error:
            log.error("allowlist.book_unreadable", path=str(self.path), why=error.strerror)
            return self._empty()
        try:
            book, written = _read(raw)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            self._set_aside(repr(error))
            return self._empty()
        return pass_time(book, now - written)

    def save(self, book: Book, *, now: float) -> None:
        """Put it on disk, or leave what is there.

        Raises:
            BookFileError: it is not on disk.
        """
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_through(new, _written(book, now))
            put_in_place(new, self.path)
        except OSError as error:
            raise BookFileError(f"{self.path}: {error.strerror}") from error

    def keep(self, book: Book, *, now: float) -> None:
        """Keep it under its revision as well, to go back to; the oldest ones go.

        Raises:
            BookFileError: it is not on disk.
        """
        BookFile(self._kept(book.revision)).save(book, now=now)
        for path in self._all_kept()[:-REVISIONS]:
            path.unlink(missing_ok=True)

    def kept(self) -> list[int]:
        """The revisions that can be gone back to, oldest first."""
        return [int(path.name) for path in self._all_kept()]

    def load_kept(self, revision: int) -> Book | None:
        """The book of this revision as it was then, with the grace that was left."""
        try:
            return _read(self._kept(revision).read_bytes())[0]
        except OSError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            log.error("allowlist.book_damaged", path=str(self._kept(revision)), why=repr(error))
            return None

    def _empty(self) -> Book:
        return Book(revision=max(self.kept(), default=0))

    def _kept(self, revision: int) -> Path:
        return self.path.parent / "revisions" / f"{revision:09}"

    def _all_kept(self) -> list[Path]:
        found = (self.path.parent / "revisions").glob("[0-9]*")
        return sorted(path for path in found if path.name.isdecimal())

    def _set_aside(self, why: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            self.path.replace(aside)
        except OSError as error:
            why = f"{why}; and it cannot be moved: {error.strerror}"
        log.error("allowlist.book_damaged", path=str(self.path), aside=str(aside), why=why)


def _written(book: Book, now: float) -> bytes:
    content = {
        "version": VERSION,
        "written": now,
        "revision": book.revision,
        "lastGoodPoll": book.last_good_poll,
        "turnovers": book.turnovers,
        "held": _held(book.held),
        "entries": {
            str(address): [entry.first_seen, entry.last_seen, entry.absences, entry.grace_left]
            for address, entry in book.entries.items()
        },
    }
    body = msgspec.json.encode(content)
    return sha256(body).hexdigest().encode() + b"\n" + body + b"\n"


def _read(raw: bytes) -> tuple[Book, float]:
    checksum, _, rest = raw.partition(b"\n")
    body = rest.removesuffix(b"\n")
    if sha256(body).hexdigest().encode() != checksum:
        raise ValueError("the checksum is wrong")
    content: dict[str, Any] = msgspec.json.decode(body)
    if content["version"] != VERSION:
        raise ValueError(f"version {content['version']} is not {VERSION}")
    entries = {ip_address(text): Entry(*values) for text, values in content["entries"].items()}
    book = Book(
        MappingProxyType(entries),
        content["revision"],
        content["lastGoodPoll"],
        tuple(float(left) for left in content.get("turnovers", ())),
        _unheld(content.get("held")),
    )
    return book, float(content["written"])


def _held(held: Held | None) -> list[Any] | None:
    if held is None:
        return None
    addresses = [str(address) for address in held.addresses]
    return [held.id, addresses, held.why, held.host, held.since, held.answers]


def _unheld(values: list[Any] | None) -> Held | None:
    if values is None:
        return None
    name, addresses, *rest = values
    return Held(name, tuple(ip_address(text) for text in addresses), *rest)
