from ipaddress import ip_address
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.sightings import REMEMBERED, Sightings
from tests.fakes.clock import FakeClock

A = ip_address("101.36.1.1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def sightings(folder: Path, clock: FakeClock) -> Sightings:
    metrics = AllowlistMetrics(CollectorRegistry())
    return Sightings(folder / "sightings", clock=clock, metrics=metrics)


def test_the_blind_time_is_from_the_first_packet_to_the_list(
    tmp_path: Path, clock: FakeClock
) -> None:
    found = sightings(tmp_path, clock)
    found.came(A, packets=1)
    clock.advance(3.0)
    found.came(A, packets=2, authentic=True)
    clock.advance(2.0)
    with capture_logs() as logs:
        found.listed([A, ip_address("101.36.1.2")])
    assert [(b.address, b.seconds, b.authentic) for b in found.seen.blind] == [(str(A), 5.0, True)]
    assert found.seen.sources == {}
    assert [entry["event"] for entry in logs] == ["allowlist.blind"]


def test_nothing_is_forgotten_by_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    found = sightings(tmp_path, clock)
    since = found.seen.since
    found.came(A, packets=4, authentic=True)
    found.delivered({"listed": 7, "unlisted": 1})
    found.rotated()
    found.save()
    clock.advance(10.0)
    shown = sightings(tmp_path, clock).shown()
    assert shown["observedSince"] == since
    assert shown["rotations"] == 1
    assert shown["deliveries"] == {"listed": 7, "unlisted": 1}
    assert shown["unlisted"][0]["packets"] == 4


def test_deliveries_of_days_ago_do_not_count(tmp_path: Path, clock: FakeClock) -> None:
    found = sightings(tmp_path, clock)
    for _ in range(6):
        clock.advance(86_400.0)
        found.delivered({"listed": 10})
    assert found.deliveries()["listed"] == 30


def test_a_scan_is_remembered_in_part(tmp_path: Path, clock: FakeClock) -> None:
    found = sightings(tmp_path, clock)
    for number in range(3 * REMEMBERED):
        found.came(ip_address(0x65240000 + number))
    assert len(found.seen.sources) == REMEMBERED
    assert str(ip_address(0x65240000 + 3 * REMEMBERED - 1)) in found.seen.sources


@pytest.mark.parametrize("junk", [b"", b"junk", b'{"sources":{"x":{"first":1,"last":1}}}', b"\xff"])
def test_a_damaged_file_is_none(tmp_path: Path, clock: FakeClock, junk: bytes) -> None:
    (tmp_path / "sightings").write_bytes(junk)
    assert sightings(tmp_path, clock).seen.sources == {}


def test_deliveries_of_last_week_do_not_count_where_none_came_since(
    tmp_path: Path, clock: FakeClock
) -> None:
    found = sightings(tmp_path, clock)
    found.delivered({"listed": 10})
    clock.advance(7 * 86_400.0)
    assert found.deliveries()["listed"] == 0


def test_a_clock_that_was_ahead_leaves_no_day_behind(tmp_path: Path, clock: FakeClock) -> None:
    ahead = FakeClock()
    ahead.advance(400 * 86_400.0)
    before = sightings(tmp_path, ahead)
    before.delivered({"listed": 10})
    before.save()
    found = sightings(tmp_path, clock)
    found.delivered({"listed": 1})
    assert found.deliveries() == {"listed": 1}
