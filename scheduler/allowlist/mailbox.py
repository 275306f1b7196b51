"""How a command reaches the scheduler that runs: a folder of requests, and one of answers.

A file for each request, written whole and renamed, so that nothing needs a port, a lock or rights
beyond those of the folder; it waits while the scheduler restarts, but not for ever: what was not
carried out within a minute is not carried out at all. Who works in the folder holds its lock: the
scheduler as long as it runs, else the command itself.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec
import structlog

log = structlog.get_logger()

STALE = 60.0
"""Seconds after which a request is dropped instead of carried out."""
LARGEST = 4096
"""Bytes of a request."""
KINDS = ("poll", "apply", "accept", "freeze", "unfreeze", "open", "close", "rollback")


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be done; `argument` and `seconds` belong to some kinds. `at` is Unix seconds."""

    kind: str
    at: float
    argument: str = ""
    seconds: float | None = None
    actor: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What became of it."""

    done: bool
    text: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The two folders below one."""

    folder: Path

    def post(self, request: Request) -> str:
        """Put a request there; the name under which it is answered. Raises OSError."""
        name = f"{uuid4().hex}.json"
        _write(self.folder / "requests" / name, msgspec.json.encode(request))
        return name

    def answered(self, name: str) -> Answer | None:
        """The answer to this request, once there is one; it is taken away."""
        path = self.folder / "answers" / name
        try:
            answer = msgspec.json.decode(path.read_bytes(), type=Answer)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            return Answer(False, f"the answer cannot be read: {error}")
        with suppress(OSError):
            path.unlink()
        return answer

    def withdraw(self, name: str) -> None:
        """Nobody waits for it any more."""
        (self.folder / "requests" / name).unlink(missing_ok=True)

    def requests(self, *, now: float) -> Iterator[tuple[str, Request]]:
        """What is to be carried out, oldest first; each is gone when it is handed out."""
        found = []
        for path in self._waiting():
            request = _read(path)
            try:
                path.unlink()
            except OSError:  # one that cannot be taken away would be carried out for ever
                request = None
            # one that came while we looked is younger than `now`, as after a clock was set back
            if request is None or abs(now - request.at) > STALE:
                log.warning("allowlist.request_dropped", path=str(path))
                continue
            found.append((request.at, path.name, request))
        for _, name, request in sorted(found, key=lambda item: item[:2]):
            yield name, request

    def answer(self, name: str, answer: Answer) -> None:
        """Say what became of it; a full disk keeps nobody from the next one."""
        try:
            _write(self.folder / "answers" / name, msgspec.json.encode(answer))
            self._forget_old_answers()
        except OSError as error:
            log.error("allowlist.answer_failed", why=error.strerror)

    def _waiting(self) -> list[Path]:
        try:
            return sorted((self.folder / "requests").glob("*.json"))
        except OSError:
            return []

    def _forget_old_answers(self) -> None:
        answers = sorted((self.folder / "answers").glob("*.json"), key=lambda p: p.stat().st_mtime)
        for path in answers[:-32]:
            path.unlink(missing_ok=True)


class FolderLock:
    """The lock of a folder: one process at a time works there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".lock"
        self._file: int | None = None

    def take(self) -> bool:
        """Whether it is ours now. Raises OSError where there can be no lock."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Let others work there."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def _read(path: Path) -> Request | None:
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(LARGEST), type=Request)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found if found.kind in KINDS else None
