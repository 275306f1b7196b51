"""Nobody can fill the emulator's memory: what there is too much of is refused, lost or forgotten."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from agora_sidecar.emulator.account import Account, Path
from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.callbacks import MAX_AT_ONCE, MAX_WAITING, Callbacks, Post
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.journal import MAX_RECORDINGS, Journal, Notice
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.studio.message import Message
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.studio import Studio
from agora_sidecar.emulator.studio.truth import Truth
from tests.fakes.clock import FakeClock


class SlowPost:
    """Answers when released; counts how many wait at a time, and says when that is many."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0
        self.full = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self, body: bytes, headers: dict[str, str], *, source: str) -> int | None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        if self.waiting == MAX_AT_ONCE:
            self.full.set()
        await self.released.wait()
        self.waiting -= 1
        return 200


class BrokenPost:
    """Fails in a way that nobody foresaw."""

    async def __call__(self, body: bytes, headers: dict[str, str], *, source: str) -> int | None:
        raise RuntimeError("broken")


def callbacks(post: Post | None, journal: Journal) -> Callbacks:
    return Callbacks(
        secret="s",
        seed=1,
        pace=Pace(FakeClock(), 1.0),
        journal=journal,
        post=post,
        addresses=lambda: ("127.0.0.1",),
        faults=Faults,
    )


def message(n: int, payload: dict[str, Any] | None = None) -> Message:
    return Message(
        sid=f"sid{n}",
        cname="room1",
        event_type=40,
        ordinal=1,
        sequence=0,
        payload=payload or {},
        ending=False,
    )


def test_beyond_so_many_recordings_at_a_time_the_vendor_is_overloaded() -> None:
    studio = Studio(stamp=lambda at: int(at * 1000), room=2)
    account = Account(app_id="app", seed=1, studio=studio, faults=Faults)
    for n in range(2):
        studio.start(Plan(sid=str(n), resource_id="r", cname=f"room{n}", uid="1"), 0.0)

    with pytest.raises(Refusal) as caught:
        account.acquire(Path("app"), b'{"cname":"more","uid":"1","clientRequest":{}}', 0.0)

    assert (caught.value.status, caught.value.body["code"]) == (400, 406)


async def test_only_so_many_deliveries_run_at_once() -> None:
    post, journal = SlowPost(), Journal()
    outgoing = callbacks(post, journal)
    for n in range(3 * MAX_AT_ONCE):
        outgoing.send(message(n))
    await post.full.wait()

    post.released.set()
    await outgoing.settled()

    assert post.most == MAX_AT_ONCE
    assert journal.answers[200] == 3 * MAX_AT_ONCE


async def test_beyond_so_many_waiting_notices_new_ones_are_lost() -> None:
    journal = Journal()
    outgoing = callbacks(SlowPost(), journal)
    for n in range(MAX_WAITING):
        outgoing.send(message(n))

    with capture_logs() as logs:
        outgoing.send(message(MAX_WAITING))

    assert next(reversed(journal.notices.values())).lost
    assert journal.lost == 1
    assert [(entry["event"], entry["waiting"]) for entry in logs] == [
        ("emulator.overflow", MAX_WAITING)
    ]
    await outgoing.close()


async def test_an_unforeseen_failure_of_one_delivery_is_logged_and_the_others_go_on() -> None:
    outgoing = callbacks(BrokenPost(), Journal())

    with capture_logs() as logs:
        outgoing.send(message(1))
        outgoing.send(message(1))
        await outgoing.settled()

    assert [entry["event"] for entry in logs] == ["emulator.delivery_failed"] * 2


def test_the_journal_forgets_the_oldest_notices_and_keeps_counting() -> None:
    journal = Journal(max_notices=100)

    for n in range(102):
        journal.add_notice(Notice(str(n), "sid", 40, n, lost=True))

    assert len(journal.notices) == 100
    assert next(iter(journal.notices)) == "2"
    assert journal.lost == 102


def test_the_journal_forgets_the_oldest_bodies_of_too_many_bytes() -> None:
    journal = Journal(max_bytes=1000)
    notices = [Notice(str(n), "sid", 40, n) for n in range(3)]

    for notice in notices:
        journal.add_notice(notice)
        journal.add_attempt(notice, b"x" * 400, source="127.0.0.1")

    assert [*journal.notices] == ["1", "2"]
    journal.add_attempt(notices[0], b"x" * 5000, source="127.0.0.1")
    journal.add_attempt(notices[2], b"x" * 200, source="127.0.0.1")
    assert [*journal.notices] == ["1", "2"]


def test_the_journal_forgets_the_oldest_recordings() -> None:
    journal = Journal()

    for n in range(MAX_RECORDINGS + 1):
        journal.add_recording(Truth(str(n), "r", "c", "1", "mix", started=0.0, status=1))

    assert len(journal.recordings) == MAX_RECORDINGS
    assert "0" not in journal.recordings
