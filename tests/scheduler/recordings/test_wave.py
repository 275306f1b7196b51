import pytest

from scheduler.recordings.wave import Wave


def wave(turned: int, still: int, *, at: float = 0.0) -> Wave:
    found = Wave(window=60)
    for number in range(turned + still):
        found.note(f"sid{number}", at=at, turned=number < turned)
    return found


@pytest.mark.parametrize(
    ("turned", "still", "on"),
    [(5, 0, True), (4, 0, False), (3, 2, True), (3, 3, False), (3, 4, False), (0, 9, False)],
)
def test_more_than_half_of_at_least_five_is_a_wave(turned: int, still: int, on: bool) -> None:  # noqa: FBT001 - a parameter
    assert wave(turned, still).is_on(0) is on


def test_a_wave_is_over_when_its_window_is() -> None:
    found = wave(5, 0, at=100)

    assert found.is_on(160)
    assert not found.is_on(161)


def test_asking_one_recording_often_is_no_wave() -> None:
    found = Wave(window=60)
    for second in range(20):
        found.note("sid", at=second, turned=second == 0)

    assert not found.is_on(20)


def test_who_turned_stays_turned_while_it_is_asked_again() -> None:
    found = wave(3, 2)
    for number in range(3):
        found.note(f"sid{number}", at=5, turned=False)

    assert found.is_on(10)


def test_recordings_that_end_one_after_the_other_are_no_wave() -> None:
    """Each is asked again and again until its 404 has lasted; it turned long ago."""
    found = Wave(window=60)
    for number in range(40):
        for earlier in range(max(0, number - 3), number):
            found.note(f"sid{earlier}", at=37.0 * number, turned=False)
        found.note(f"sid{number}", at=37.0 * number, turned=True)
        assert not found.is_on(37.0 * number)
