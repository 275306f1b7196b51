"""How long the streams are and how far each group of readers is, asked when somebody looks."""

import asyncio
from typing import Any, cast

from agora_sidecar.keys import Shards
from agora_sidecar.store import Redis, StoreError, store_errors

WITHIN = 1.0
"""Seconds; the store may hang, and whoever looks wants to see the rest."""


class Backlog:
    """Looks at every shard's stream."""

    def __init__(self, client: Redis, shards: Shards) -> None:
        self._client = client
        self._streams = [keys.events for keys in shards.all]

    async def look(self) -> list[dict[str, Any]]:
        """Entries and groups of each stream, or why that is not known; never raises."""
        return await asyncio.gather(*(self._of(stream) for stream in self._streams))

    async def _of(self, stream: str) -> dict[str, Any]:
        found: dict[str, Any] = {"stream": stream, "entries": None, "groups": [], "problem": ""}
        try:
            async with asyncio.timeout(WITHIN):
                with store_errors():
                    found["entries"] = await self._client.xlen(stream)
                    if found["entries"]:
                        groups = await self._client.xinfo_groups(stream)
                        found["groups"] = [_group(cast("dict[Any, Any]", g)) for g in groups]
        except StoreError as error:
            found["problem"] = str(error)
        except TimeoutError:
            found["problem"] = f"no answer within {WITHIN:g} s"
        return found


def _group(told: dict[Any, Any]) -> dict[str, Any]:
    name = told.get("name", b"")
    return {
        "name": name.decode(errors="replace") if isinstance(name, bytes) else str(name),
        "pending": told.get("pending"),
        "lag": told.get("lag"),
    }
