"""Registrations on disk: given back to a store that lost them, and never more than that."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agora_sidecar.store import StoreError
from scheduler.recordings import findings, kept
from scheduler.recordings.kept import Kept
from scheduler.recordings.kept_file import SLACK
from scheduler.recordings.kept_record import KeptUnreadableError, from_line, to_line
from scheduler.recordings.ledger import Change
from scheduler.recordings.observe import observe
from scheduler.recordings.registration import read_registration
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import Reading, Session, State, close
from scheduler.recordings.session import Source as Told
from scheduler.recordings.timings import Timings
from tests.fakes.clock import FakeClock
from tests.fakes.full_disk import room_for
from tests.fakes.memory_ledger import MemoryLedger
from tests.scheduler.recordings.evidence_samples import NOW, SID, event, session

KEEP = 1000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "registrations"


def on_disk(
    path: Path, ledger: MemoryLedger | None = None, *, clock: FakeClock | None = None
) -> Kept:
    return Kept(path, ledger=ledger or MemoryLedger(), keep=KEEP, clock=clock or FakeClock(NOW))


async def restored(path: Path, *, clock: FakeClock | None = None) -> dict[str, Session]:
    """What an empty ledger holds after a new process has looked at the disk."""
    ledger = MemoryLedger()
    await on_disk(path, ledger, clock=clock).tend(emptied=False)
    return {one.sid: one for one in await ledger.all(limit=99)}


async def test_what_was_registered_is_given_back_with_what_is_wanted_and_was_told(
    path: Path,
) -> None:
    known = session(
        max_duration=60.0,
        max_idle_time=30.0,
        max_recording_hour=2.0,
        file_name_prefix=("dir",),
        stop_wanted="requested",
        stop_wanted_at=NOW,
    )
    known = replace(findings.started(known).session, alive_at=NOW, state=State.RECORDING)
    await on_disk(path).note(known)

    found = (await restored(path))[SID]

    same = ("resource_id", "app_id", "mode", "max_duration", "max_idle_time", "stop_wanted")
    same += ("max_recording_hour", "file_name_prefix", "findings", "registered", "stop_wanted_at")
    assert {name: getattr(found, name) for name in same} == {
        name: getattr(known, name) for name in same
    }
    assert found.state is State.STARTING  # to be asked about anew
    assert found.alive_at is not None  # but it is known to have been alive
    assert found.timeline[-1].what.startswith("restored from disk")


async def test_what_is_over_forgotten_or_from_the_stream_alone_is_not_kept(path: Path) -> None:
    disk = on_disk(path)
    over = close(session(sid="over"), "not_found", told_by=Told.QUERY, at=NOW)
    await disk.note(session(sid="over"))
    await disk.note(findings.closed(over).session)
    await disk.note(session(sid="forgotten"))
    await disk.drop("forgotten")
    await disk.note(session(sid="foreign", registered=False))
    await disk.note(session(sid="open"))

    assert set(await restored(path)) == {"open"}


async def test_what_the_ledger_still_has_is_left_as_it_is(path: Path) -> None:
    await on_disk(path).note(session())
    ledger = MemoryLedger()
    newer = await ledger.save(Change(session(state=State.ENDING)), due=None, now=NOW)

    await on_disk(path, ledger).tend(emptied=True)

    assert await ledger.load(SID) == newer


async def test_what_others_closed_or_forgot_meanwhile_stays_so(path: Path) -> None:
    for sid in ("over", "gone"):
        await on_disk(path).note(session(sid=sid))
    ledger = MemoryLedger()
    over = session(sid="over", state=State.CLOSED, findings=("closed",))
    await ledger.save(Change(over), due=None, now=NOW)
    await ledger.save(Change(session(sid="gone")), due=None, now=NOW)
    await ledger.forget("gone")

    disk = on_disk(path, ledger)
    await disk.tend(emptied=False)

    assert len(disk) == 0
    assert await ledger.load("gone") is None
    assert await restored(path) == {}


async def test_who_was_away_for_longer_than_closed_ones_stay_gives_nothing_back(path: Path) -> None:
    await on_disk(path).note(session())
    os.utime(path, (NOW - KEEP - 1, NOW - KEEP - 1))

    assert await restored(path) == {}


async def test_a_running_process_gives_back_whatever_the_age(path: Path) -> None:
    clock, ledger = FakeClock(NOW), MemoryLedger()
    disk = on_disk(path, ledger, clock=clock)
    await disk.note(session())
    clock.advance(KEEP * 3)

    await disk.tend(emptied=True)

    assert await ledger.load(SID) is not None


async def test_what_the_stream_told_gets_the_facts_of_the_disk(path: Path) -> None:
    await on_disk(path).note(session())
    ledger = MemoryLedger()
    heard = observe(Session(sid=SID, created_at=NOW, started_at=NOW), event(Reading.STARTED))
    await ledger.save(Change(heard), due=None, now=NOW)

    await on_disk(path, ledger).tend(emptied=False)

    found = await ledger.load(SID)
    assert found is not None
    assert (found.state, found.registered, found.resource_id) == (State.RECORDING, True, "rid")


async def test_a_registration_while_the_store_is_away_is_known_when_it_is_back(path: Path) -> None:
    ledger, clock = MemoryLedger(), FakeClock(NOW)
    disk = on_disk(path, ledger, clock=clock)
    registry = Registry(ledger=ledger, timings=Timings(), clock=clock, kept=disk)
    body = {"resourceId": "rid", "mode": "mix", "cname": "room", "uid": "1", "maxRecordingHour": 3}
    ledger.fail_next = StoreError("unreachable", "away")
    with pytest.raises(StoreError):
        await registry.register(read_registration(SID, body, app_ids=["app"], now=NOW))
    assert await ledger.load(SID) is None

    await disk.tend(emptied=False)

    found = await ledger.load(SID)
    assert found is not None
    assert (found.registered, found.max_recording_hour) == (True, 3.0)


class HungLedger(MemoryLedger):
    """A store that does not answer."""

    async def load(self, sid: str) -> Session | None:
        await asyncio.Event().wait()
        return await super().load(sid)


async def test_a_registration_that_nobody_waits_for_any_longer_is_on_disk(path: Path) -> None:
    """A store that hangs is given up by the gateway before it fails."""
    ledger, clock = HungLedger(), FakeClock(NOW)
    disk = on_disk(path, ledger, clock=clock)
    registry = Registry(ledger=ledger, timings=Timings(), clock=clock, kept=disk)
    body = {"resourceId": "rid", "mode": "mix", "cname": "room", "uid": "1"}
    facts = read_registration(SID, body, app_ids=["app"], now=NOW)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(registry.register(facts), 0.05)
    assert set(await restored(path)) == {SID}


async def test_a_damaged_line_is_said_set_aside_and_costs_only_itself(path: Path) -> None:
    disk = on_disk(path)
    for sid in ("a", "b", "c"):
        await disk.note(session(sid=sid))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"room", b"doom")
    path.write_bytes(b"".join(lines))

    with capture_logs() as logs:
        assert set(await restored(path)) == {"a", "c"}

    [said] = [entry for entry in logs if entry["event"] == "recording.kept_damaged"]
    assert said["lines"] == 1
    assert Path(said["aside"]).read_bytes() == b"".join(lines)
    assert set(await restored(path)) == {"a", "c"}  # and it is whole again


async def test_a_line_that_a_crash_cut_off_is_passed_over_silently(path: Path) -> None:
    disk = on_disk(path)
    await disk.note(session(sid="a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])

    with capture_logs() as logs:
        assert set(await restored(path)) == {"a"}
        disk = on_disk(path)
        await disk.note(session(sid="b"))
        assert set(await restored(path)) == {"a", "b"}
    assert "recording.kept_damaged" not in {entry["event"] for entry in logs}


@given(st.binary(max_size=300))
def test_no_line_makes_reading_fail_otherwise(line: bytes) -> None:
    with pytest.raises(KeptUnreadableError):
        from_line(line)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_no_changed_byte_goes_unnoticed(place: int, value: int) -> None:
    line = bytearray(to_line(session()))
    place %= len(line)
    before = line[place]
    line[place] = value
    if value == before:
        return
    with pytest.raises(KeptUnreadableError):
        from_line(bytes(line))


async def test_a_file_of_nonsense_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(os.urandom(5000) + b"\n")

    assert await restored(path) == {}
    assert len(list(path.parent.glob("registrations.damaged-*"))) == 1


async def test_the_file_stays_small_and_private(path: Path) -> None:
    disk = on_disk(path)
    await disk.note(session(sid="stays"))
    for number in range(SLACK):
        await disk.note(session(stop_wanted_at=float(number)))

    await disk.drop(SID)
    await disk.note(session(sid="last"))
    for number in range(5):
        await disk.note(session(sid="last", stop_wanted_at=float(number)))

    assert len(path.read_bytes().splitlines()) < 20
    assert path.stat().st_mode & 0o077 == 0
    assert set(await restored(path)) == {"stays", "last"}


async def test_what_is_the_same_is_not_written_again(path: Path) -> None:
    disk = on_disk(path)
    await disk.note(session())
    size = path.stat().st_size
    await disk.note(replace(session(), heard_at=NOW, attempts=3))

    assert path.stat().st_size == size


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(kept, "MAX_KEPT", 3)
    return


@pytest.mark.usefixtures("few")
async def test_of_too_many_the_oldest_go_and_it_is_said(path: Path) -> None:
    disk = on_disk(path)
    with capture_logs() as logs:
        for number in range(5):
            await disk.note(session(sid=f"s{number}"))

    assert set(await restored(path)) == {"s2", "s3", "s4"}
    assert "recording.too_many_kept" in {entry["event"] for entry in logs}


async def test_a_disk_that_takes_nothing_costs_nothing_else_and_is_said_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "recordings").write_text("a file where a folder should be")
    disk = on_disk(tmp_path / "recordings" / "registrations")
    with capture_logs() as logs:
        await disk.note(session())
        await disk.note(session(sid="b"))
        await disk.tend(emptied=True)

    assert disk.problem
    assert [e["event"] for e in logs].count("recording.not_kept") == 1


async def test_a_store_that_is_away_is_tried_again(path: Path) -> None:
    await on_disk(path).note(session())
    ledger = MemoryLedger()
    disk = on_disk(path, ledger)
    ledger.fail_next = StoreError("unreachable", "away")
    with pytest.raises(StoreError):
        await disk.tend(emptied=False)

    await disk.tend(emptied=False)

    assert await ledger.load(SID) is not None


async def test_what_a_full_disk_took_half_of_is_said_and_written_when_there_is_room(
    path: Path,
) -> None:
    clock = FakeClock(NOW)
    disk = on_disk(path, clock=clock)
    await disk.note(session(sid="a"))
    with room_for(path.stat().st_size + 20), capture_logs():
        await disk.note(session(sid="b"))
        assert disk.problem
        await disk.note(session(sid="c"))
        assert disk.problem
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        await disk.tend(emptied=False)
        assert disk.problem  # that its date can be changed says nothing

    clock.advance(kept.TOUCH + 1)
    await disk.tend(emptied=False)

    assert not disk.problem
    with capture_logs() as logs:
        assert set(await restored(path)) == {"a", "b", "c"}
    assert "recording.kept_damaged" not in {entry["event"] for entry in logs}


async def test_what_could_not_be_read_is_not_written_over(path: Path) -> None:
    path.mkdir(parents=True)
    disk = on_disk(path)
    for sid in ("a", "b"):
        await disk.note(session(sid=sid))
    await disk.tend(emptied=True)

    assert path.is_dir()
    assert disk.problem


async def test_a_comparison_of_many_leaves_room_for_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "AT_A_TIME", 2)
    ledger = MemoryLedger()
    first = on_disk(path)
    for number in range(5):
        await first.note(session(sid=f"s{number}"))
    disk = on_disk(path, ledger)

    counts = []
    for _ in range(4):
        await disk.tend(emptied=False)
        counts.append(len(await ledger.all(limit=99)))

    assert counts == [2, 4, 5, 5]
