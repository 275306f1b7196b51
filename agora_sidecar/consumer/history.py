"""Reading streams without a group: nothing is changed, nothing is remembered in the store.

An entry is its stream id and its fields as they stand, known to us or not.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from agora_sidecar.store import Redis, StoreError, store_errors

Raw = tuple[str, dict[bytes, bytes]]
"""Stream id and fields of one entry."""

NOTHING = "0-0"
"""The position before every entry."""
LAST_NUMBER = 2**64 - 1
"""The largest part of a stream id."""
PAGE = 500
"""Entries in one reply: some hundred KiB."""
AT_ONCE = 16
"""Streams asked at the same time: each takes a connection of the 32 that there are."""


def order(stream_id: str) -> tuple[int, int]:
    """What stream ids are compared by; of an id without its second part, the first such.

    Raises:
        ValueError: it is no stream id.
    """
    ms, dash, number = stream_id.partition("-")
    parts = (ms, number) if dash else (ms, "0")
    if not all(part.isascii() and part.isdecimal() and int(part) <= LAST_NUMBER for part in parts):
        raise ValueError("must be a stream id such as 1795410302032-0")
    return int(parts[0]), int(parts[1])


def before(stream_id: str) -> str:
    """The position from which reading on begins with this id."""
    ms, number = order(stream_id)
    if number:
        return f"{ms}-{number - 1}"
    return f"{ms - 1}-{LAST_NUMBER}" if ms else NOTHING


async def last_id(client: Redis, key: str) -> str:
    """The newest id that this stream ever gave; NOTHING where there is no stream.

    Raises:
        StoreError: the store did not answer, or the key is no stream.
    """
    try:
        with store_errors():
            info = await client.xinfo_stream(key)
    except StoreError as error:
        if "no such key" not in error.detail:
            raise
        return NOTHING
    last: bytes = info["last-generated-id"]
    return last.decode()


async def pages(client: Redis, key: str, *, first: str, last: str) -> AsyncIterator[list[Raw]]:
    """The entries from `first` to `last`, both included, in bounded pages; `-` and `+` are ends.

    Raises:
        StoreError: the store did not answer.
    """
    while True:
        with store_errors():
            found: Any = await client.xrange(key, min=first, max=last, count=PAGE)
        if found:
            yield [(stream_id.decode(), fields) for stream_id, fields in found]
        if len(found) < PAGE:
            return
        first = f"({found[-1][0].decode()}"


class Feed:
    """Entries of several streams, in the order of their ids as far as they are there to be read."""

    def __init__(self, client: Redis, starts: Mapping[str, str]) -> None:
        self._client = client
        self._positions = dict(starts)
        self._held: dict[str, deque[Raw]] = {key: deque() for key in starts}

    async def read(self) -> list[Raw]:
        """The next ones; empty if there are none now.

        Raises:
            StoreError: nothing is lost: the next read goes on where this one did not.
        """
        hungry = [key for key, held in self._held.items() if not held]
        for start in range(0, len(hungry), AT_ONCE):
            asked = (self._more(key) for key in hungry[start : start + AT_ONCE])
            # All are waited for: a stream must not be asked again while it still answers
            for failure in await asyncio.gather(*asked, return_exceptions=True):
                if failure is not None:
                    raise failure
        return self._merged()

    async def heal(self) -> None:
        """Begin anew with streams whose ids are older than what was read: the store was emptied.

        Raises:
            StoreError: the store did not answer.
        """
        for key, position in self._positions.items():
            if order(await last_id(self._client, key)) < order(position):
                self._positions[key] = NOTHING

    async def _more(self, key: str) -> None:
        with store_errors():
            found: Any = await self._client.xrange(key, min=f"({self._positions[key]}", count=PAGE)
        if found:
            self._held[key] += [(stream_id.decode(), fields) for stream_id, fields in found]
            self._positions[key] = found[-1][0].decode()

    def _merged(self) -> list[Raw]:
        """The oldest ones, until one of the streams that had some must be asked for more."""
        held = [queue for queue in self._held.values() if queue]
        merged: list[Raw] = []
        while held and all(held):
            merged.append(min(held, key=lambda queue: order(queue[0][0])).popleft())
        return merged
