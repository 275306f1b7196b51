"""What the operator ordered and still holds: frozen, or open to everybody for a time.

On disk, so that neither a restart nor a crash forgets a freeze or an opening. An opening is also
measured by a clock that never jumps: one that was set back does not make it longer.
"""

from pathlib import Path

import msgspec
import structlog

from agora_sidecar.process.clock import Clock
from scheduler.allowlist.owned_file import put_in_place, write_through

log = structlog.get_logger()


class Standing(msgspec.Struct, frozen=True):
    """The orders in force; times are Unix seconds, None: not ordered, or without end."""

    frozen_at: float | None = None
    frozen_until: float | None = None
    why: str = ""
    open_until: float | None = None


class Orders:
    """The standing orders, in memory and in one file."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._standing: Standing | None = None
        self._opened_at = 0.0
        self._open_for = 0.0

    @property
    def standing(self) -> Standing:
        """What is in force; what has ended is not."""
        now, found = self._clock.now(), self._loaded()
        if found.frozen_until is not None and found.frozen_until <= now:
            found = msgspec.structs.replace(found, frozen_at=None, frozen_until=None, why="")
        if not self.open_left:
            found = msgspec.structs.replace(found, open_until=None)
        return found

    @property
    def frozen(self) -> bool:
        """Whether no target may be touched."""
        return self.standing.frozen_at is not None

    @property
    def open_left(self) -> float:
        """For how many seconds more everybody is to be let in."""
        until = self._loaded().open_until
        if until is None:
            return 0.0
        elapsed = self._clock.monotonic() - self._opened_at
        return max(0.0, min(until - self._clock.now(), self._open_for - elapsed))

    def freeze(self, why: str, *, seconds: float | None) -> None:
        """Let no target be touched, for so long or until `unfreeze`. Raises OSError."""
        now = self._clock.now()
        until = None if seconds is None else now + seconds
        self._save(
            msgspec.structs.replace(self.standing, frozen_at=now, frozen_until=until, why=why)
        )

    def unfreeze(self) -> None:
        """Let targets be touched again. Raises OSError."""
        self._save(
            msgspec.structs.replace(self.standing, frozen_at=None, frozen_until=None, why="")
        )

    def open(self, seconds: float) -> None:
        """Let everybody in for so long; zero ends it. Raises OSError."""
        until = self._clock.now() + seconds if seconds > 0 else None
        self._save(msgspec.structs.replace(self.standing, open_until=until))
        self._begin(seconds)

    def _loaded(self) -> Standing:
        if self._standing is None:
            self._standing = self._read()
            until = self._standing.open_until
            self._begin(0.0 if until is None else until - self._clock.now())
        return self._standing

    def _begin(self, seconds: float) -> None:
        self._opened_at, self._open_for = self._clock.monotonic(), seconds

    def _read(self) -> Standing:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Standing)
        except FileNotFoundError:
            return Standing()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.error("allowlist.orders_unreadable", path=str(self._path), why=str(error))
            return Standing()

    def _save(self, standing: Standing) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(f".{self._path.name}.new")
        write_through(new, msgspec.json.encode(standing) + b"\n")
        put_in_place(new, self._path)
        self._standing = standing
