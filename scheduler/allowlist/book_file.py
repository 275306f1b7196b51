"""The book on disk: the last known good list, applied before the first poll.

Written beside it, forced to disk and renamed; with a checksum and a version. A damaged file is set
aside under another name and said aloud, never trusted and never deleted. What the wall clock says
between writing and reading is believed only forward: a clock that went back extends every grace.
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from scheduler.allowlist.addresses import Book, Entry, pass_time

log = structlog.get_logger()

VERSION = 1


class BookFileError(Exception):
    """The book cannot be written; the message says where and why."""


@dataclass(frozen=True, slots=True)
class BookFile:
    """One book in one file."""

    path: Path

    def load(self, *, now: float) -> Book:
        """The book as it is now; an empty one where there is none that can be trusted."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return Book()
        except OSError as error:
            log.error("allowlist.book_unreadable", path=str(self.path), why=error.strerror)
            return Book()
        try:
            book, written = _read(raw)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            self._set_aside(repr(error))
            return Book()
        return pass_time(book, now - written)

    def save(self, book: Book, *, now: float) -> None:
        """Put it on disk, or leave what is there.

        Raises:
            BookFileError: it is not on disk.
        """
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.write(_written(book, now))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise BookFileError(f"{self.path}: {error.strerror}") from error

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
    book = Book(MappingProxyType(entries), content["revision"], content["lastGoodPoll"])
    return book, float(content["written"])
