"""Who leads: one suite over the store in memory and over Redis, then what only Redis can show."""

import asyncio

import pytest

from agora_sidecar.keys import Keys
from agora_sidecar.store import Redis, StoreError, connect
from scheduler.leadership import Lease
from tests.fakes.clock import FakeClock
from tests.fakes.places import Place, place

__all__ = ["place"]


async def test_one_holds_it_and_the_other_does_not(place: Place, clock: FakeClock) -> None:
    mine, other = place.lease(clock), place.lease(clock)

    assert await mine.hold() == 1
    assert await other.hold() is None
    assert (mine.fence, other.fence) == (1, None)


async def test_holding_again_renews_under_the_same_number(place: Place, clock: FakeClock) -> None:
    mine = place.lease(clock)
    await mine.hold()

    assert await mine.hold() == 1


async def test_the_next_holder_has_a_greater_number(place: Place, clock: FakeClock) -> None:
    mine, other = place.lease(clock), place.lease(clock)
    await mine.hold()
    await mine.release()

    assert await other.hold() == 2
    assert await mine.hold() is None
    assert mine.fence is None


async def test_the_lease_is_over_by_the_holders_own_clock(place: Place, clock: FakeClock) -> None:
    mine = place.lease(clock, length=10)
    await mine.hold()
    clock.advance(10)

    assert mine.fence is None


async def test_a_lease_that_was_not_renewed_is_free(place: Place, clock: FakeClock) -> None:
    mine, other = place.lease(clock, length=0.001), place.lease(clock)
    await mine.hold()
    await asyncio.sleep(0.02)

    assert await other.hold() == 2


async def test_the_token_is_what_the_store_holds(place: Place, clock: FakeClock) -> None:
    mine = place.lease(clock)
    await mine.hold()

    assert await place.leader() == mine.token


async def test_releasing_what_somebody_else_holds_does_not_take_it_away(
    place: Place, clock: FakeClock
) -> None:
    mine, other = place.lease(clock), place.lease(clock)
    await mine.hold()
    await place.end_lease()
    await other.hold()

    await mine.release()

    assert await other.hold() == 2
    assert await place.lease(clock).hold() is None


async def test_a_store_that_came_back_empty_is_noticed_until_it_was_refilled(
    place: Place, clock: FakeClock
) -> None:
    mine = place.lease(clock)
    await mine.hold()
    assert not mine.emptied
    await place.empty()

    assert await mine.hold() == 1
    assert mine.emptied
    await mine.hold()
    assert mine.emptied
    mine.note_refilled()
    await mine.hold()
    assert not mine.emptied


async def test_losing_the_lease_alone_is_not_taken_for_an_empty_store(
    place: Place, clock: FakeClock
) -> None:
    mine = place.lease(clock)
    await mine.hold()
    await place.end_lease()

    assert await mine.hold() == 2
    assert not mine.emptied


async def test_who_waits_for_the_lease_also_notices_that_the_store_was_emptied(
    place: Place, clock: FakeClock
) -> None:
    mine, other = place.lease(clock), place.lease(clock)
    await mine.hold()
    await mine.release()
    await mine.hold()
    await other.hold()
    await place.empty()
    await mine.hold()

    await other.hold()

    assert other.emptied


@pytest.mark.integration
async def test_renewing_in_redis_gives_the_whole_length_again(
    redis: Redis, clock: FakeClock
) -> None:
    mine = Lease(redis, Keys("test"), "recordings", length=10, clock=clock)
    await mine.hold()
    await redis.pexpire(Keys("test").lease("recordings"), 10)

    await mine.hold()

    assert await redis.pttl(Keys("test").lease("recordings")) > 9_000


async def test_a_store_that_is_away_is_an_error(clock: FakeClock) -> None:
    store = connect("unix:///nonexistent/socket")
    away = Lease(store, Keys("test"), "recordings", length=10, clock=clock)

    with pytest.raises(StoreError):
        await away.hold()
    await away.release()
