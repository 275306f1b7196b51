from dataclasses import dataclass, field

from agora_sidecar.cli.demo.verdict import CLOSED, judge
from agora_sidecar.entry import Entry


@dataclass
class Notice:
    bodies: list[bytes] = field(default_factory=lambda: [b"first", b"second"])
    answers: list[int | None] = field(default_factory=lambda: [None, 200])


def entry(notice_id: str, data: bytes = b"second", *, kind: str = "t", subject: str = "s") -> Entry:
    return Entry("1-0", notice_id, "/agora/default", kind, subject, "", data, "webhook")


def closed(sid: str) -> Entry:
    return entry(f"sidecar:{sid}:closed:1", kind=CLOSED, subject=sid)


def test_everything_once_and_every_recording_closed_is_well() -> None:
    verdict = judge([entry("a"), closed("s")], {"a": Notice()}, ["s"], told_by={"event": 1})
    assert verdict.ok
    assert verdict.stored == 1
    assert verdict.findings == {"closed": 1}


def test_an_acknowledged_notice_that_is_not_there_is_lost() -> None:
    assert judge([], {"a": Notice()}, [], told_by={}).lost == ("a",)


def test_an_unacknowledged_notice_may_be_there_or_not() -> None:
    unsure = Notice(answers=[None, 503])
    assert judge([], {"a": unsure}, [], told_by={}).ok
    assert judge([entry("a")], {"a": unsure}, [], told_by={}).ok


def test_twice_other_bytes_and_strangers_are_told_apart() -> None:
    notices = {"a": Notice(), "b": Notice()}
    verdict = judge([entry("a"), entry("a"), entry("b", b"x"), entry("c")], notices, [], told_by={})
    assert (verdict.doubled, verdict.altered, verdict.foreign) == (("a",), ("b",), ("c",))
    assert not verdict.ok


def test_a_recording_must_be_closed_exactly_once() -> None:
    assert judge([], {}, ["s"], told_by={}).unclosed == ("s",)
    assert judge([closed("s"), closed("s")], {}, ["s"], told_by={}).closed_twice == ("s",)
