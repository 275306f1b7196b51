"""The receiver's hints: an authentic delivery came from an unlisted address, so ask now.

Only what is put on the stream after the start counts: at the start the list is asked for anyway. A
hint is a reason to poll and nothing else: no address is ever taken from here. On the same stream
the receivers tell how many authentic deliveries came from whom: numbers, for a decision.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import Redis, StoreError, store_errors

log = structlog.get_logger()

MIN_GAP = 5.0
"""Seconds between two calls; what is hinted at meanwhile is one call at its end."""
BATCH = 200
BLOCK = 1.0
"""Seconds to wait for new entries: also how soon the end of a gap or a stop is noticed."""
RETRY = 1.0
"""Seconds between attempts while the store does not answer."""
SHOWN = 8
"""Addresses that a log line names."""

VERDICTS = ("listed", "unlisted", "unknown")
MOST = 10_000_000
"""Deliveries that one entry may tell of."""

OnHint = Callable[[Sequence[str]], Awaitable[None]]
"""Asks for a poll at once, because of these addresses."""
OnDeliveries = Callable[[Mapping[str, int]], None]
"""Is told of authentic deliveries, by verdict: listed, unlisted, unknown."""


class HintReader:
    """Reads the stream of hints and calls `on_hint`, at most once per `min_gap` seconds."""

    def __init__(
        self,
        store: Redis,
        keys: Keys,
        *,
        on_hint: OnHint,
        clock: Clock,
        on_deliveries: OnDeliveries = lambda _: None,
        min_gap: float = MIN_GAP,
        block: float = BLOCK,
    ) -> None:
        self._store = store
        self._key = keys.hints
        self._on_hint = on_hint
        self._on_deliveries = on_deliveries
        self._clock = clock
        self._min_gap = min_gap
        self._block = block
        self._position: str | None = None
        self._called_at: float | None = None
        self._hints = 0
        self._addresses: dict[str, None] = {}
        self._problem = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set; survives every error of the store."""
        while not stop.is_set():
            try:
                await self.step()
            except StoreError as error:
                self._note(error.kind)
                await self._pause(stop)
            except Exception as error:  # boundary: the next step may be well
                log.exception("allowlist.hint_failed", why=repr(error))
                await self._pause(stop)
            else:
                self._note("")

    async def step(self) -> None:
        """Call for what is due, whether or not the store answers; then read, and call for that.

        Raises:
            StoreError: it did not answer.
        """
        await self._call_if_due()
        await self._read()
        await self._call_if_due()

    async def _call_if_due(self) -> None:
        now = self._clock.monotonic()
        early = self._called_at is not None and now - self._called_at < self._min_gap
        if not self._hints or early:
            return
        addresses = list(self._addresses)
        log.info("allowlist.hint", hints=self._hints, addresses=addresses)
        # before the call: one that fails is not repeated at once
        self._called_at, self._hints, self._addresses = now, 0, {}
        await self._on_hint(addresses)

    async def _read(self) -> None:
        if self._position is None:
            self._position = await self._last_id()
        with store_errors():
            reply: Any = await self._store.xread(
                {self._key: self._position}, count=BATCH, block=max(1, int(self._block * 1000))
            )
        if not reply:
            await self._heal(self._position)
            return
        for entry_id, fields in reply[0][1]:
            self._position = _text(entry_id)
            self._take(fields)

    def _take(self, fields: Mapping[bytes, bytes]) -> None:
        if fields.get(b"kind") == b"deliveries":
            self._on_deliveries(_counts(fields))
            return
        self._hints += 1
        if len(self._addresses) < SHOWN:
            self._addresses[_text(fields.get(b"address", b""))[:45]] = None

    async def _heal(self, position: str) -> None:
        """A store that came back empty starts new ids, which may be lower: all there is is new."""
        if _order(await self._last_id()) < _order(position):
            self._position = "0-0"

    async def _last_id(self) -> str:
        try:
            with store_errors():
                info: Any = await self._store.xinfo_stream(self._key)
        except StoreError as error:
            if "no such key" not in error.detail:
                raise
            return "0-0"
        return _text(info["last-generated-id"])

    def _note(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("allowlist.hints_interrupted", why=problem)
        elif self._problem and not problem:
            log.info("allowlist.hints_resumed", after=self._problem)
        self._problem = problem

    async def _pause(self, stop: asyncio.Event) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(RETRY)),
            asyncio.ensure_future(stop.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
                with suppress(asyncio.CancelledError):
                    await wait


def _order(stream_id: str) -> tuple[int, int]:
    ms, _, number = stream_id.partition("-")
    return int(ms), int(number or 0)


def _counts(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    texts = {verdict: _text(fields.get(verdict.encode(), b"0"))[:20] for verdict in VERDICTS}
    return {name: min(int(text), MOST) for name, text in texts.items() if text.isdecimal()}


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
