"""What only a store can show, over the one in memory and over Redis: telling once, forgetting."""

from dataclasses import replace

import pytest

from agora_sidecar.store import StoreError
from scheduler.recordings.ledger import Change, ConflictError, FencedError, Finding
from scheduler.recordings.session import State
from tests.fakes.clock import FakeClock
from tests.fakes.places import MemoryPlace, Place, place
from tests.scheduler.recordings.evidence_samples import NOW, SID, session

__all__ = ["place"]

TOLD = Finding("closed", b'{"reason":"uploaded"}')
ENTRY = f"sidecar:{SID}:closed:1"


async def token(place: Place) -> str:
    lease = place.lease(FakeClock())
    await lease.hold()
    return lease.token


async def test_a_finding_is_an_entry_and_is_told_once(place: Place) -> None:
    leader, ledger = await token(place), place.ledger()

    saved = await ledger.save(Change(session(), TOLD), due=None, now=NOW, token=leader)
    await ledger.save(Change(saved, TOLD), due=None, now=NOW, token=leader)

    assert await place.ids() == [ENTRY]


async def test_another_process_does_not_tell_it_again_either(place: Place) -> None:
    leader = await token(place)
    saved = await place.ledger().save(Change(session(), TOLD), due=None, now=NOW, token=leader)

    await place.ledger().save(Change(saved, TOLD), due=None, now=NOW, token=leader)

    assert await place.ids() == [ENTRY]


async def test_a_finding_is_not_told_when_its_session_is_not_saved(place: Place) -> None:
    leader, ledger = await token(place), place.ledger()
    await ledger.save(Change(session()), due=None, now=NOW)

    with pytest.raises(ConflictError):
        await ledger.save(Change(session(), TOLD), due=None, now=NOW, token=leader)

    assert await place.ids() == []


async def test_who_lost_the_lease_to_somebody_else_tells_and_saves_nothing(place: Place) -> None:
    before, ledger = await token(place), place.ledger()
    await place.end_lease()
    await token(place)

    with pytest.raises(FencedError):
        await ledger.save(Change(session(), TOLD), due=NOW, now=NOW, token=before)

    assert await place.ids() == []
    assert await ledger.load(SID) is None
    assert await ledger.next_due() is None


async def test_what_was_heard_of_last_is_found_first(place: Place) -> None:
    ledger = place.ledger()
    for number, due in enumerate([NOW + 40, NOW + 10, NOW + 90, NOW + 20, None]):
        await ledger.save(Change(session(sid=f"s{number}")), due=due, now=NOW)

    soon = await ledger.soon(by=NOW + 40, limit=2)

    assert [found.sid for found in soon] == ["s0", "s3"]
    assert soon[0] == await ledger.load("s0")
    assert await ledger.soon(by=NOW, limit=9) == []


async def test_open_recordings_are_written_back_to_a_store_that_came_back_empty(
    place: Place,
) -> None:
    ledger = place.ledger()
    open_one = await ledger.save(Change(session()), due=NOW + 50, now=NOW)
    over = session(sid="over", state=State.CLOSED, findings=("closed",))
    await ledger.save(Change(over), due=None, now=NOW)
    await place.empty()

    assert await ledger.restore(now=NOW + 1) == 1

    assert await place.ledger().load(SID) == open_one
    assert await ledger.due(now=NOW + 1, limit=9) == [SID]


async def test_news_of_what_the_store_lost_are_folded_into_what_is_remembered(
    place: Place,
) -> None:
    ledger = place.ledger()
    await ledger.save(Change(session(resource_id="kept")), due=None, now=NOW)
    await place.empty()

    assert await ledger.load(SID) == session(resource_id="kept", version=0)
    assert await place.ledger().load(SID) is None


async def test_what_is_in_the_store_is_not_overwritten_by_what_is_remembered(place: Place) -> None:
    ledger, other = place.ledger(), place.ledger()
    saved = await ledger.save(Change(session()), due=None, now=NOW)
    newer = await other.save(Change(replace(saved, findings=("closed",))), due=None, now=NOW)

    assert await ledger.restore(now=NOW) == 0
    assert await ledger.load(SID) == newer


async def test_what_was_remembered_for_too_long_is_not_written_back(place: Place) -> None:
    ledger = place.ledger(keep=1000)
    await ledger.save(Change(session()), due=None, now=NOW)
    await place.empty()

    assert await ledger.restore(now=NOW + 1001) == 0


async def test_what_another_process_forgot_is_not_remembered_back(place: Place) -> None:
    ledger = place.ledger()
    await ledger.save(Change(session()), due=None, now=NOW)

    await place.ledger().forget(SID)

    assert await ledger.load(SID) is None
    assert ledger.open_by_state()[State.STARTING] == 0
    await ledger.save(Change(session()), due=None, now=NOW)
    assert await ledger.load(SID) == session(version=1)


async def test_who_adopts_knows_what_others_saved(place: Place) -> None:
    await place.ledger().save(Change(session()), due=None, now=NOW)
    ledger = place.ledger()

    await ledger.adopt(now=NOW)
    await place.empty()

    assert await ledger.restore(now=NOW) == 1


async def test_a_store_in_memory_that_is_away_fails_every_request() -> None:
    place = MemoryPlace()
    ledger, lease = place.ledger(), place.lease(FakeClock())
    place.store.away = "unreachable"

    for request in (
        ledger.load(SID),
        ledger.save(Change(session()), due=None, now=NOW),
        ledger.due(now=NOW, limit=1),
        ledger.postpone(SID, NOW),
        ledger.forget(SID),
        lease.hold(),
        place.reader("one").read(count=1, block=0.01),
    ):
        with pytest.raises(StoreError):
            await request
