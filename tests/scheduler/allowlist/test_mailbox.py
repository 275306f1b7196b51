from pathlib import Path

import pytest

from scheduler.allowlist.mailbox import STALE, Answer, FolderLock, Mailbox, Request


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path)


def test_a_request_is_handed_out_once_and_answered_once(mailbox: Mailbox) -> None:
    name = mailbox.post(Request("open", 100.0, seconds=60.0, actor="ana"))
    assert mailbox.answered(name) is None
    ((given, request),) = mailbox.requests(now=101.0)
    assert (given, request.kind, request.seconds, request.actor) == (name, "open", 60.0, "ana")
    assert list(mailbox.requests(now=101.0)) == []
    mailbox.answer(name, Answer(True, "open"))
    assert mailbox.answered(name) == Answer(True, "open")
    assert mailbox.answered(name) is None


def test_requests_come_in_the_order_they_were_made(mailbox: Mailbox) -> None:
    for at in (3.0, 1.0, 2.0):
        mailbox.post(Request("poll", at))
    assert [request.at for _, request in mailbox.requests(now=4.0)] == [1.0, 2.0, 3.0]


def test_a_request_that_comes_while_requests_are_read_is_carried_out(mailbox: Mailbox) -> None:
    mailbox.post(Request("freeze", 100.001))
    assert [request.kind for _, request in mailbox.requests(now=100.0)] == ["freeze"]


@pytest.mark.parametrize("at", [-STALE - 1, STALE + 1])
def test_what_waited_too_long_or_comes_from_the_future_is_dropped(
    mailbox: Mailbox, at: float
) -> None:
    mailbox.post(Request("accept", at, "abc"))
    assert list(mailbox.requests(now=0.0)) == []
    assert list(mailbox.requests(now=at)) == []


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"[]", b'{"kind":"rm","at":1}', b'{"kind":"poll"}', b"{" * 9000]
)
def test_junk_is_dropped_and_hides_no_request(
    mailbox: Mailbox, tmp_path: Path, junk: bytes
) -> None:
    mailbox.post(Request("poll", 1.0))
    (tmp_path / "requests" / "junk.json").write_bytes(junk)
    assert [request.kind for _, request in mailbox.requests(now=2.0)] == ["poll"]
    assert list((tmp_path / "requests").iterdir()) == []


def test_what_cannot_be_taken_away_is_not_carried_out_again_and_again(
    mailbox: Mailbox, tmp_path: Path
) -> None:
    (tmp_path / "requests" / "folder.json").mkdir(parents=True)
    mailbox.post(Request("poll", 1.0))
    assert len(list(mailbox.requests(now=1.0))) == 1


def test_what_was_withdrawn_is_not_carried_out(mailbox: Mailbox) -> None:
    name = mailbox.post(Request("poll", 1.0))
    mailbox.withdraw(name)
    mailbox.withdraw(name)
    assert list(mailbox.requests(now=1.0)) == []


def test_answers_that_nobody_fetches_do_not_pile_up(mailbox: Mailbox, tmp_path: Path) -> None:
    for number in range(50):
        mailbox.answer(f"{number}.json", Answer(True, ""))
    assert len(list((tmp_path / "answers").iterdir())) == 32


def test_one_process_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    one, two = FolderLock(tmp_path), FolderLock(tmp_path)
    assert one.take()
    assert one.take()
    assert not two.take()
    one.release()
    assert two.take()
    two.release()
