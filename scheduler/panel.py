"""The scheduler on the status page: its scripts, and more of the recording that a viewer chose."""

from typing import Any

from agora_sidecar.process.clock import Clock
from agora_sidecar.process.page.board import Detail, DetailError
from agora_sidecar.process.page.document import part
from agora_sidecar.store import StoreError
from scheduler.recordings.findings import describe
from scheduler.recordings.ledger import SessionUnreadableError
from scheduler.recordings.registry import Registry

WORTH_READING = (
    "allowlist",
    "recording",
    "gateway",
    "job",
    "agora",
    "stream",
    "store",
    "scheduler",
)
"""Families of log events that the status page shows."""
_SCRIPTS = ("addresses.js", "enforcing.js", "timeline.js", "recordings.js", "panel.js")


def script() -> str:
    """Everything that draws the scheduler's panel."""
    return "\n".join(part("scheduler", f"page/{name}") for name in _SCRIPTS)


def recording_of(registry: Registry, *, silence: float, clock: Clock) -> Detail:
    """What is known of one recording, as the recordings API shows it.

    `silence`: seconds without an event after which we ask; longer ones are shown as such.
    """

    async def recording(sid: str) -> dict[str, Any] | None:
        try:
            session = await registry.get(sid)
        except StoreError as error:
            raise DetailError("the store does not answer") from error
        except SessionUnreadableError as error:
            raise DetailError(str(error)) from error
        if session is None:
            return None
        return describe(session, now=clock.now()) | {"silence": silence}

    return recording
