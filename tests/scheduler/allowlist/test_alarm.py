import pytest

from scheduler.allowlist.alarm import LEVELS, alarm

HOUR = 3600.0


@pytest.mark.parametrize(
    ("age", "interval", "level"),
    [
        (0.0, 600.0, ""),
        (0.9 * HOUR, 600.0, ""),
        (1.1 * HOUR, 600.0, "late"),
        (2.9 * HOUR, 2 * HOUR, ""),  # the default: no poll was missed yet
        (3.1 * HOUR, 2 * HOUR, "late"),
        (12.1 * HOUR, 24 * HOUR, "stale"),
        (24.1 * HOUR, 24 * HOUR, "critical"),
        (None, 600.0, "critical"),
    ],
)
def test_the_age_is_a_word(age: float | None, interval: float, level: str) -> None:
    assert alarm(age, interval=interval) == level
    assert LEVELS[level] >= LEVELS[""]
