from agora_sidecar.process.health import Condition, Health
from tests.fakes.clock import FakeClock


def test_nothing_expected_is_ready(clock: FakeClock) -> None:
    assert Health(clock).ready
    assert Health(clock).conditions() == []


def test_what_has_not_answered_yet_makes_a_process_unready(clock: FakeClock) -> None:
    health = Health(clock)
    health.expect("redis")

    assert not health.ready
    assert health.conditions() == [Condition("redis", "not checked yet", clock.now(), True)]


def test_a_required_dependency_decides_and_another_is_only_shown(clock: FakeClock) -> None:
    health = Health(clock)
    health.expect("redis")
    health.expect("list", required=False)
    health.report("redis")

    assert health.ready

    health.report("list", "three days old")
    assert health.ready

    health.report("redis", "unreachable")
    assert not health.ready


def test_a_report_tells_whether_something_changed(clock: FakeClock) -> None:
    health = Health(clock)

    assert health.report("redis", "unreachable")
    assert not health.report("redis", "loading")
    assert health.report("redis")
    assert not health.report("redis")


def test_since_is_when_it_became_well_or_unwell_and_not_when_the_words_changed(
    clock: FakeClock,
) -> None:
    health = Health(clock)
    start = clock.now()
    health.report("redis", "unreachable")
    clock.advance(10)
    health.report("redis", "loading")
    assert health.conditions() == [Condition("redis", "loading", start, True)]

    health.report("redis")
    assert health.conditions() == [Condition("redis", "", start + 10, True)]


def test_whether_it_is_required_is_remembered(clock: FakeClock) -> None:
    health = Health(clock)
    health.expect("list", required=False)
    health.report("list", "old")

    assert health.ready

    health.report("list", "old", required=True)
    assert not health.ready


def test_conditions_keep_the_order_in_which_they_were_named(clock: FakeClock) -> None:
    health = Health(clock)
    for name in ("redis", "agora", "nftables"):
        health.expect(name)
    health.report("agora")

    assert [c.name for c in health.conditions()] == ["redis", "agora", "nftables"]
