"""The receiver's `/status`: one JSON object, without any secret."""

from collections.abc import Sequence
from typing import Any

import msgspec

from agora_sidecar import __version__
from agora_sidecar.process.health import Health
from agora_sidecar.settings import SourceSettings
from agora_sidecar.watch import StoreWatch
from receiver.backlog import Backlog
from receiver.inbox import Inbox
from receiver.metrics import ReceiverMetrics
from receiver.safety import Safety
from receiver.settings import ReceiverSettings
from receiver.spool.journal import Facts
from receiver.traffic import counted


class Status:
    """A snapshot whenever it is called."""

    def __init__(
        self,
        *,
        settings: ReceiverSettings,
        sources: Sequence[SourceSettings],
        health: Health,
        watch: StoreWatch,
        safety: Safety,
        inbox: Inbox,
        metrics: ReceiverMetrics,
        backlog: Backlog,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._health = health
        self._watch = watch
        self._safety = safety
        self._inbox = inbox
        self._metrics = metrics
        self._backlog = backlog

    def replace(self, sources: Sequence[SourceSettings]) -> None:
        """Show these from now on."""
        self._sources = sources

    async def __call__(self) -> dict[str, Any]:
        """What is in force."""
        await self._safety.look()
        found = self._watch.durability
        spool = self._safety.facts
        return {
            "process": "receiver",
            "version": __version__,
            "ready": self._health.ready,
            "path": self._settings.path,
            "sources": [
                {"name": source.name, "secrets": [secret.label for secret in source.secrets]}
                for source in self._sources
            ],
            "traffic": counted(self._metrics),
            "streams": await self._backlog.look() if found else [],
            "durability": {
                "asked": self._settings.durability,
                "reached": self._safety.reached,
                "level": found.level if found else "unknown",
                "why": found.why if found else "the store has not answered yet",
                "warnings": list(found.warnings) if found else [],
                "store": found.facts if found else {},
            },
            "spool": {
                "file": str(self._safety.path or ""),
                "problem": self._safety.problem,
                "limit": self._settings.spool_limit,
                "inUse": self._inbox.suspended or not self._inbox.store_suffices,
                **(msgspec.to_builtins(spool) if spool else dict.fromkeys(Facts.__struct_fields__)),
            },
        }
