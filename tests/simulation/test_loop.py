import asyncio
import time

import pytest

from tests.simulation.loop import LoopClock, StandstillError, run


def test_hours_pass_at_once_and_timers_go_off_in_order() -> None:
    async def main() -> list[str]:
        clock, seen = LoopClock(), []

        async def say(word: str, after: float) -> None:
            await clock.sleep(after)
            seen.append(f"{word} at {clock.monotonic():g}")

        await asyncio.gather(say("late", 7200), say("early", 60), say("now", 0))
        return seen

    began = time.monotonic()

    assert run(main()) == ["now at 0", "early at 60", "late at 7200"]
    assert time.monotonic() - began < 2


def test_a_time_out_goes_off_when_it_is_due() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(10)


def test_waiting_for_what_never_happens_is_an_error_and_no_endless_wait() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandstillError):
        run(main())
