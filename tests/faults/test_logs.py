"""What in a log is a bug, and what is not."""

from tests.faults.logs import bugs


def test_refusals_of_the_store_are_no_bugs() -> None:
    assert bugs('{"event": "inbox.append_failed", "kind": "oom"}\n{"event": "x"}\n') == []


def test_an_exception_is_a_bug() -> None:
    assert bugs('{"event": "x", "exception": []}\n{"event": "y"}\n') == [
        '{"event": "x", "exception": []}'
    ]


def test_a_failure_of_the_kind_bug_is_a_bug() -> None:
    assert len(bugs('{"event": "inbox.append_failed", "kind": "bug"}\n')) == 1


def test_a_line_that_is_no_json_is_a_bug_unless_a_kill_cut_it_off() -> None:
    assert bugs("Traceback (most recent call last):\n") == ["Traceback (most recent call last):"]
    assert bugs('{"event": "x"}\n{"event": "y", "ki') == []
