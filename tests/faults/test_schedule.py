"""Schedules: the same for the same seed, within the traffic, and over many seeds everything."""

from collections import Counter
from itertools import pairwise

from tests.faults.inflict import ACTS
from tests.faults.schedule import FEWEST, KINDS, MOST, schedule

SECONDS = 6.0
MANY = [schedule(seed, seconds=SECONDS) for seed in range(1, 201)]


def test_seed_0_has_no_faults() -> None:
    assert schedule(0, seconds=SECONDS) == ()


def test_a_seed_always_means_the_same() -> None:
    assert schedule(7, seconds=SECONDS) == MANY[6] != MANY[7]


def test_five_to_ten_faults_that_are_over_before_the_traffic_is() -> None:
    for faults in MANY:
        assert FEWEST <= len(faults) <= MOST + 1  # an outage may come with a full disk
        assert all(fault.at > 0 and fault.at + fault.lasts < SECONDS for fault in faults)


def test_faults_of_a_lane_follow_one_another_and_others_overlap() -> None:
    overlapping = 0
    for faults in MANY:
        lanes = {lane for kind in KINDS.values() for lane in kind.lanes}
        for lane in lanes:
            mine = [fault for fault in faults if lane in KINDS[fault.kind].lanes]
            assert all(a.at + a.lasts < b.at for a, b in pairwise(mine))
        overlapping += any(a.at + a.lasts > b.at for a, b in pairwise(faults))
    assert overlapping > len(MANY) / 2


def test_every_kind_happens_and_can_be_brought_about() -> None:
    counts = Counter(fault.kind for faults in MANY for fault in faults)
    assert set(counts) == set(KINDS) == set(ACTS)
    assert min(counts.values()) >= 10


def test_long_stops_outlast_the_deadline() -> None:
    longest = max(f.lasts for faults in MANY for f in faults if f.kind == "store stopped")
    assert longest > 4.0
