import pytest

from scheduler.recordings.pace import Pace, lag
from scheduler.recordings.timings import Timings

TIMINGS = Timings()


def test_without_delay_the_interval_is_the_silence_with_its_jitter() -> None:
    assert Pace().interval(TIMINGS) == pytest.approx(132)
    assert Pace().bound(TIMINGS) == pytest.approx(132 + 100 + 120 + 2)


def test_what_is_late_stretches_the_interval_and_the_bound() -> None:
    assert Pace(60).interval(TIMINGS) == pytest.approx(192)
    assert Pace(60).bound(TIMINGS) == pytest.approx(Pace().bound(TIMINGS) + 120)


def test_a_wave_widens_the_bound() -> None:
    assert Pace(wave=True).bound(TIMINGS) == pytest.approx(Pace().bound(TIMINGS) + 800)


@pytest.mark.parametrize(
    ("oldest", "behind", "rate", "late"),
    [
        (None, 0, 8.0, 0.0),
        (1010.0, 0, 8.0, 0.0),
        (990.0, 8, 8.0, 10.0),
        (990.0, 800, 8.0, 100.0),
        (999.0, 10, 0.0, 100.0),
    ],
    ids=["nothing due", "due later", "the oldest", "what is due", "no budget"],
)
def test_late_is_the_oldest_or_what_is_due_by_the_rate(
    oldest: float | None, behind: int, rate: float, late: float
) -> None:
    assert lag(oldest_due=oldest, behind=behind, now=1000.0, rate=rate) == late
