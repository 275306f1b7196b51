"""The judge finds each kind of wrong: a check that cannot fail proves nothing."""

from tests.faults.oracle import Entry, Notice, judge


def issued(*acknowledged: bool) -> dict[str, Notice]:
    """Events of one recording, each sent twice."""
    return {
        f"n{number}": Notice(
            f"n{number}", "sid", number, [b"first %d" % number, b"second %d" % number], known
        )
        for number, known in enumerate(acknowledged)
    }


def entry(number: int, data: bytes | None = None) -> Entry:
    return Entry(f"n{number}", b"first %d" % number if data is None else data)


def test_everything_once_and_in_order_is_well() -> None:
    verdict = judge(
        issued(True, True, False, False), [entry(0), entry(1, b"second 1"), entry(3)], ordered=True
    )
    assert verdict.failures == {}


def test_an_acknowledged_event_that_is_not_there_is_lost() -> None:
    assert judge(issued(True, True), [entry(1)]).failures == {"lost": ["n0"]}


def test_an_event_that_is_there_twice_is_doubled_acknowledged_or_not() -> None:
    entries = [entry(0), entry(1), entry(1, b"second 1"), entry(0), entry(0)]
    assert judge(issued(True, False), entries).failures == {"doubled": ["n1", "n0"]}


def test_an_entry_that_nobody_issued_is_foreign() -> None:
    entries = [entry(0), Entry("forged", b"{}")]
    assert judge(issued(True), entries).failures == {"foreign": ["forged"]}


def test_other_bytes_than_those_of_an_attempt_are_altered() -> None:
    entries = [entry(0, b"first 0 "), entry(1, b"first 0")]
    assert judge(issued(True, True), entries).failures == {"altered": ["n0", "n1"]}


def test_an_event_behind_a_later_one_of_its_recording_is_misordered() -> None:
    entries = [entry(1), entry(0), entry(2)]
    assert judge(issued(True, True, True), entries, ordered=True).failures == {"misordered": ["n0"]}
    assert judge(issued(True, True, True), entries).failures == {}


def test_recordings_are_ordered_each_for_itself() -> None:
    notices = issued(True, True)
    notices["n1"].sid = "another"
    assert judge(notices, [entry(1), entry(0)], ordered=True).failures == {}
