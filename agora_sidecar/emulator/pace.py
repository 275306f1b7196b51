"""Time in the emulator: the vendor's seconds pass `speed` times faster, its stamps are true."""

from agora_sidecar.process.clock import Clock


class Pace:
    """A clock seen at a speed. Durations and `elapsed` are the vendor's seconds."""

    def __init__(self, clock: Clock, speed: float) -> None:
        self._clock = clock
        self._speed = speed

    def elapsed(self) -> float:
        """The vendor's seconds on a monotonic axis whose zero means nothing."""
        return self._clock.monotonic() * self._speed

    def now(self) -> float:
        """True wall-clock time as Unix seconds."""
        return self._clock.now()

    def now_ms(self) -> int:
        """True wall-clock time as Unix milliseconds, for the stamps in bodies."""
        return int(self._clock.now() * 1000)

    def stamp(self, at: float) -> int:
        """Unix milliseconds of one of the vendor's seconds, as `elapsed` counts them."""
        return int((self._clock.now() + self.real(at - self.elapsed())) * 1000)

    def real(self, seconds: float) -> float:
        """How long so many of the vendor's seconds take."""
        return seconds / self._speed

    async def sleep(self, seconds: float) -> None:
        """Return after so many of the vendor's seconds."""
        await self._clock.sleep(self.real(seconds))
