"""New settings for a receiver that runs: read whole, checked whole, then taken or left whole.

Who may sign, how old a notice may be and what is logged change at once. The rest is named in the
log as waiting for a restart. No value is ever named.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Generic, TypeVar

import structlog

from agora_sidecar.process.settings import Section, SettingsError
from agora_sidecar.process.shape import Path, dotted

log = structlog.get_logger()

LIVE: tuple[Path, ...] = (
    ("sources",),
    ("receiver", "secret"),
    ("receiver", "max_age"),
    ("logging", "level"),
)
"""What changes while running, with everything below it."""

D = TypeVar("D", bound=Section)


class Reload(Generic[D]):
    """Reads the settings again whenever it is asked to.

    Args:
        started: the settings that the process was started with.
        sections: those of their names that this process uses; no other is looked at.
        read: the settings as they stand now; raises `SettingsError`. Called in a thread.
        apply: puts those of `LIVE` in force, all at once.
    """

    def __init__(
        self,
        started: D,
        *,
        sections: Collection[str],
        read: Callable[[], D],
        apply: Callable[[D], None],
    ) -> None:
        self._started = started
        self._live = started
        self._sections = sections
        self._read = read
        self._apply = apply

    async def run(self, asked: asyncio.Event) -> None:
        """Reload each time `asked` is set; it is cleared. Never returns."""
        while True:
            await asked.wait()
            asked.clear()
            await self.once()

    async def once(self) -> bool:
        """Reload now; whether the settings could be used."""
        try:
            found = await asyncio.to_thread(self._read)
            live = [path for path in self._changed(self._live, found) if _is_live(path)]
            self._apply(found)
        except SettingsError as error:
            for problem in error.problems:
                log.error("settings.reload_failed", why=problem)
            return False
        except Exception as error:  # whatever it is, what runs goes on
            log.exception("settings.reload_failed", why=type(error).__name__)
            return False
        self._live = found
        log.info("settings.reloaded", changed=_named(live))
        waiting = [path for path in self._changed(self._started, found) if not _is_live(path)]
        if waiting:
            log.warning("settings.restart_needed", changed=_named(waiting))
        return True

    def _changed(self, old: D, new: D) -> Iterator[Path]:
        for name in sorted(self._sections):
            yield from changes(getattr(old, name), getattr(new, name), (name,))


def changes(old: Any, new: Any, path: Path = ()) -> Iterator[Path]:
    """The paths at which two settings differ; of an item that only one has, the item's own."""
    if isinstance(old, Section) and type(old) is type(new):
        for name in type(old).model_fields:
            yield from changes(getattr(old, name), getattr(new, name), (*path, name))
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for index, (one, other) in enumerate(zip_longest(old, new)):
            yield from changes(one, other, (*path, index))
    elif old != new:
        yield path


def _is_live(path: Path) -> bool:
    return any(path[: len(prefix)] == prefix for prefix in LIVE)


def _named(paths: Sequence[Path]) -> list[str]:
    return [dotted(path) for path in paths]
