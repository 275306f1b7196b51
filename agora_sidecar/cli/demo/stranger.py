"""Somebody who is not on the list, and knocks."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

PAUSE = 4.0
PATIENCE = 1.5
"""Seconds for a connection: a dropped packet gets no answer, so there is nothing to wait for."""


class Stranger:
    """Connects to the receiver from an address that nobody lists; without one it stays at home."""

    def __init__(self, *, address: str, port: int, say: Callable[[str], None]) -> None:
        self._address = address
        self._port = port
        self._say = say
        self.tried = 0
        self.admitted = 0

    async def run(self) -> None:
        """Knock for ever."""
        if not self._address:
            return
        while True:
            await asyncio.sleep(PAUSE)
            await self._knock()

    async def _knock(self) -> None:
        self.tried += 1
        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, local_addr=(self._address, 0)
                )
        except (OSError, TimeoutError):
            self._say(f"stranger  {self._address} is not listed: no packet came through")
            return
        self.admitted += 1
        self._say(f"stranger  {self._address} was let in")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
