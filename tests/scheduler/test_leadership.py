import pytest

from agora_sidecar.keys import Keys
from agora_sidecar.store import Redis, StoreError, connect
from scheduler.leadership import Lease
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.integration


def lease(redis: Redis, clock: FakeClock, *, length: float = 10) -> Lease:
    return Lease(redis, Keys("test"), "recordings", length=length, clock=clock)


async def test_one_holds_it_and_the_other_does_not(redis: Redis, clock: FakeClock) -> None:
    mine, other = lease(redis, clock), lease(redis, clock)

    assert await mine.hold() == 1
    assert await other.hold() is None
    assert (mine.fence, other.fence) == (1, None)


async def test_holding_again_renews_under_the_same_number(redis: Redis, clock: FakeClock) -> None:
    mine = lease(redis, clock)
    await mine.hold()
    await redis.pexpire(Keys("test").lease("recordings"), 10)

    assert await mine.hold() == 1
    assert await redis.pttl(Keys("test").lease("recordings")) > 9_000


async def test_the_next_holder_has_a_greater_number(redis: Redis, clock: FakeClock) -> None:
    mine, other = lease(redis, clock), lease(redis, clock)
    await mine.hold()
    await mine.release()

    assert await other.hold() == 2
    assert await mine.hold() is None
    assert mine.fence is None


async def test_the_lease_is_over_by_the_holders_own_clock(redis: Redis, clock: FakeClock) -> None:
    mine = lease(redis, clock, length=10)
    await mine.hold()
    clock.advance(10)

    assert mine.fence is None


async def test_the_token_is_what_the_store_holds(redis: Redis, clock: FakeClock) -> None:
    mine = lease(redis, clock)
    await mine.hold()

    assert await redis.get(Keys("test").lease("recordings")) == mine.token.encode()


async def test_releasing_what_somebody_else_holds_does_not_take_it_away(
    redis: Redis, clock: FakeClock
) -> None:
    mine, other = lease(redis, clock), lease(redis, clock)
    await mine.hold()
    await redis.delete(Keys("test").lease("recordings"))
    await other.hold()

    await mine.release()

    assert await other.hold() == 2
    assert await lease(redis, clock).hold() is None


async def test_a_store_that_came_back_empty_is_noticed_until_it_was_refilled(
    redis: Redis, clock: FakeClock
) -> None:
    mine = lease(redis, clock)
    await mine.hold()
    assert not mine.emptied
    await redis.flushall()

    assert await mine.hold() == 1
    assert mine.emptied
    await mine.hold()
    assert mine.emptied
    mine.note_refilled()
    await mine.hold()
    assert not mine.emptied


async def test_losing_the_lease_alone_is_not_taken_for_an_empty_store(
    redis: Redis, clock: FakeClock
) -> None:
    mine = lease(redis, clock)
    await mine.hold()
    await redis.delete(Keys("test").lease("recordings"))

    assert await mine.hold() == 2
    assert not mine.emptied


async def test_who_waits_for_the_lease_also_notices_that_the_store_was_emptied(
    redis: Redis, clock: FakeClock
) -> None:
    mine, other = lease(redis, clock), lease(redis, clock)
    await mine.hold()
    await mine.release()
    await mine.hold()
    await other.hold()
    await redis.flushall()
    await mine.hold()

    await other.hold()

    assert other.emptied


async def test_a_store_that_is_away_is_an_error(clock: FakeClock) -> None:
    away = lease(connect("unix:///nonexistent/socket"), clock)

    with pytest.raises(StoreError):
        await away.hold()
    await away.release()
