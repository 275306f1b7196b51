"""What is shown: a panel for each process, and what all of them say now."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from agora_sidecar.process.health import Health
from agora_sidecar.process.page.recent import Recent

log = structlog.get_logger()

Status = Callable[[], Awaitable[dict[str, Any]]]
"""What `/status` shows: one JSON object."""
Detail = Callable[[str], Awaitable[dict[str, Any] | None]]
"""More of one thing, by its name; None: there is no such thing. Raises `DetailError`."""

WITHIN = 3.0
"""Seconds that a page waits for what a process tells of itself: it may ask somebody who hangs."""


class DetailError(Exception):
    """It cannot be told now; the message says why."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One process on the page.

    `script` is JavaScript that draws what `status` tells; `said` names the families of log events
    that are worth reading; `details` answer for what a viewer chose, by kind.
    """

    name: str
    script: str
    status: Status
    health: Health
    said: tuple[str, ...] = ()
    details: Mapping[str, Detail] = field(default_factory=dict)


class Board:
    """The panels of one program: one for most, several where it is several processes in one."""

    def __init__(self, recent: Recent | None = None) -> None:
        self.recent = recent or Recent()
        self._panels: dict[str, Panel] = {}

    @property
    def panels(self) -> tuple[Panel, ...]:
        """In the order of their names."""
        return tuple(self._panels[name] for name in sorted(self._panels))

    @contextmanager
    def showing(self, panel: Panel) -> Iterator[None]:
        """Show this panel for as long as the block runs."""
        self._panels[panel.name] = panel
        try:
            yield
        finally:
            del self._panels[panel.name]

    async def now(self) -> dict[str, Any]:
        """What every panel says now, by its name. Never raises: what fails is said in its place."""
        panels = self.panels
        found = await asyncio.gather(*(self._of(panel) for panel in panels))
        return {panel.name: told for panel, told in zip(panels, found, strict=True)}

    async def detail(self, kind: str, name: str) -> dict[str, Any] | None:
        """More of one thing; None where nobody knows it. Raises `DetailError`."""
        for panel in self.panels:
            if kind in panel.details:
                return await panel.details[kind](name)
        return None

    async def _of(self, panel: Panel) -> dict[str, Any]:
        status: dict[str, Any] | None = None
        problem = ""
        try:
            async with asyncio.timeout(WITHIN):
                status = await panel.status()
        except TimeoutError:
            problem = f"no answer within {WITHIN:g} s"
        except Exception as error:  # boundary: one panel must not blank the others
            problem = "this could not be told; the log says why"
            log.error("page.failed", panel=panel.name, why=repr(error), exc_info=error)
        return {
            "ready": panel.health.ready,
            "dependencies": conditions(panel.health),
            "status": status,
            "problem": problem,
            "said": self.recent.last(panel.said),
        }


def conditions(health: Health) -> dict[str, Any]:
    """Each dependency: ok or why not, and since when (RFC 3339)."""
    return {
        c.name: {
            "ok": not c.problem,
            **({"why": c.problem} if c.problem else {}),
            "since": datetime.fromtimestamp(c.since, UTC).isoformat(timespec="seconds"),
            "required": c.required,
        }
        for c in health.conditions()
    }
