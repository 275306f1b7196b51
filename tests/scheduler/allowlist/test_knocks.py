from ipaddress import ip_address
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.knocks import LONGEST, MIN_GAP, Knocks
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.sightings import Sightings
from tests.fakes.clock import FakeClock

A, B = ip_address("101.36.1.1"), ip_address("2606:4700::1")


class Door:
    """Who knocks, and how often the vendor was asked because of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.packets: dict[Address, int] = {}
        self.admitted: dict[Address, object] = {}
        self.asked = 0
        metrics = AllowlistMetrics(CollectorRegistry())
        self.sightings = Sightings(folder / "seen", clock=self.clock, metrics=metrics)
        self.knocks = Knocks(
            read=lambda: dict(self.packets),
            on_knock=self._ask,
            admitted=lambda: self.admitted,
            sightings=self.sightings,
            clock=self.clock,
            metrics=metrics,
        )

    def _ask(self) -> None:
        self.asked += 1

    def knock(self, *addresses: Address) -> None:
        for address in addresses:
            self.packets[address] = self.packets.get(address, 0) + 1
        self.knocks.look()


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_the_first_knock_asks_at_once(door: Door) -> None:
    door.knocks.look()
    door.knock(A)
    assert door.asked == 1
    assert door.sightings.seen.sources[str(A)].packets == 1


def test_who_was_there_at_the_start_knocked_before_it(door: Door) -> None:
    door.knock(A)
    door.knocks.look()
    assert door.asked == 0
    door.knock(A)
    assert door.asked == 1


def test_many_knocks_are_one_poll_and_none_is_forgotten(door: Door) -> None:
    door.knocks.look()
    door.knock(A)
    door.clock.advance(MIN_GAP / 2)
    door.knock(B)
    assert door.asked == 1
    door.clock.advance(MIN_GAP / 2)
    door.knocks.look()
    assert door.asked == 2


def test_who_goes_on_knocking_is_asked_about_again_ever_later(door: Door) -> None:
    """It may be faster than the vendor's own list; a scanner must not use up the requests."""
    door.knocks.look()
    for _ in range(3600):
        door.clock.advance(1.0)
        door.knock(A)
    assert 3600 / LONGEST <= door.asked <= 3600 / LONGEST + 6


def test_a_new_source_is_asked_about_at_once_whoever_knocks_all_day(door: Door) -> None:
    door.knocks.look()
    for _ in range(600):
        door.clock.advance(1.0)
        door.knock(A)
    before = door.asked
    door.clock.advance(MIN_GAP)
    door.knock(B)
    assert door.asked == before + 1


def test_who_is_listed_by_now_is_no_reason(door: Door) -> None:
    door.knocks.look()
    door.admitted = {A: None}
    door.knock(A)
    assert door.asked == 0
    assert str(A) not in door.sightings.seen.sources


def test_what_the_kernel_forgot_and_counts_anew_is_a_new_source(door: Door) -> None:
    door.packets = {A: 100}
    door.knocks.look()
    door.packets = {A: 1}
    door.knocks.look()
    assert door.asked == 1
