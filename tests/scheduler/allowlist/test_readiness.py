from dataclasses import replace

import pytest

from scheduler.allowlist.readiness import Evidence, against_enforcing

GOOD = Evidence(
    observed=30 * 3600.0,
    rotations=1,
    deliveries={"listed": 400, "unlisted": 0},
    authentic=(),
    alarm="",
    out_of_sync=(),
)


def test_with_enough_seen_nothing_stands_against_it() -> None:
    assert against_enforcing(GOOD) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"deliveries": {}}, "only 0 authentic deliveries"),
        (
            {"deliveries": {"listed": 97, "unlisted": 3}, "authentic": ["8.8.8.8"]},
            "3 of 100 authentic deliveries came from unlisted addresses: 8.8.8.8",
        ),
        ({"deliveries": {"listed": 21, "unknown": 300}}, "trusted_proxies"),
        ({"observed": 3600.0}, "observed for 1.0 h"),
        ({"rotations": 0}, "no rotation"),
        ({"alarm": "stale"}, "the list is old (stale)"),
        ({"out_of_sync": ["nftables:8080"]}, "nftables:8080 is not in sync"),
        ({"held": True}, "additions are held"),
        ({"findings": ["a drop comes later"]}, "a drop comes later"),
    ],
)
def test_each_reason_is_said_with_its_numbers(change: dict[str, object], why: str) -> None:
    (found,) = against_enforcing(replace(GOOD, **change))  # type: ignore[arg-type]
    assert why in found
