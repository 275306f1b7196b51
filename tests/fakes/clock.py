"""A clock that moves when told."""

import asyncio


class FakeClock:
    """Wall and monotonic time that stand still until `advance`; `jump_for_test` moves the wall alone."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic + seconds, future))
        await future

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds
        for due, future in list(self._sleepers):
            if due <= self._monotonic:
                self._sleepers.remove((due, future))
                if not future.done():
                    future.set_result(None)

    def jump_for_test(self, seconds: float) -> None:
        self._now += seconds
