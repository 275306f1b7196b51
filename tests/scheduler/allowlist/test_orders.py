from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scheduler.allowlist.orders import Orders
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def orders(folder: Path, clock: FakeClock) -> Orders:
    return Orders(folder / "orders", clock=clock)


def test_at_first_nothing_is_ordered(tmp_path: Path, clock: FakeClock) -> None:
    found = orders(tmp_path, clock)
    assert (found.frozen, found.open_left) == (False, 0.0)


def test_a_freeze_outlives_a_restart_and_ends_when_told(tmp_path: Path, clock: FakeClock) -> None:
    orders(tmp_path, clock).freeze("moving", seconds=None)
    clock.advance(1e6)
    again = orders(tmp_path, clock)
    assert (again.frozen, again.standing.why) == (True, "moving")
    again.unfreeze()
    assert not orders(tmp_path, clock).frozen


def test_a_freeze_for_a_time_ends_by_itself(tmp_path: Path, clock: FakeClock) -> None:
    found = orders(tmp_path, clock)
    found.freeze("", seconds=60.0)
    clock.advance(59.0)
    assert found.frozen
    clock.advance(2.0)
    assert not found.frozen


def test_an_opening_ends_by_itself_and_outlives_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    found = orders(tmp_path, clock)
    found.open(60.0)
    clock.advance(20.0)
    assert found.open_left == 40.0
    assert orders(tmp_path, clock).open_left == 40.0
    clock.advance(41.0)
    assert (found.open_left, found.standing.open_until) == (0.0, None)


def test_a_clock_that_is_set_back_makes_no_opening_longer(tmp_path: Path, clock: FakeClock) -> None:
    found = orders(tmp_path, clock)
    found.open(60.0)
    clock.jump_for_test(-5000.0)
    clock.advance(50.0)
    assert found.open_left == 10.0


def test_an_opening_is_ended_before_its_time(tmp_path: Path, clock: FakeClock) -> None:
    found = orders(tmp_path, clock)
    found.open(60.0)
    found.open(0.0)
    assert found.open_left == 0.0


@pytest.mark.parametrize("junk", [b"", b"junk", b"[]", b'{"open_until":"x"}', b"\xff"])
def test_damaged_orders_are_none_and_it_is_said(
    tmp_path: Path, clock: FakeClock, junk: bytes
) -> None:
    (tmp_path / "orders").write_bytes(junk)
    found = orders(tmp_path, clock)
    with capture_logs() as logs:
        assert not found.frozen
    assert [entry["event"] for entry in logs] == ["allowlist.orders_unreadable"]
