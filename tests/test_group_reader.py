"""Reading as a member of a group, over the store in memory and over Redis."""

import asyncio

from agora_sidecar.entry import Entry
from scheduler.recordings.intake import Reader
from tests.fakes.places import Place, place

__all__ = ["place"]


def ids(entries: list[Entry]) -> list[str]:
    return [entry.id for entry in entries]


async def read(reader: Reader, *, wanted: int) -> list[str]:
    """Ids until so many are there; the first read of a group may only make it."""
    found: list[str] = []
    for _ in range(20):
        if len(found) < wanted:
            found += ids(await reader.read(count=wanted - len(found), block=0.05))
    return found


async def test_each_entry_is_given_to_one_member(place: Place) -> None:
    await place.append("a", "b", "c")
    one, two = place.reader("one"), place.reader("two")

    assert await read(one, wanted=2) == ["a", "b"]
    assert await read(two, wanted=1) == ["c"]
    assert ids(await one.read(count=9, block=0.01)) == []


async def test_what_was_appended_twice_is_there_once(place: Place) -> None:
    await place.append("a", "a")
    await place.append("a", "b")

    assert await place.ids() == ["a", "b"]


async def test_who_waits_gets_what_arrives(place: Place) -> None:
    reader = place.reader("one")
    await reader.read(count=9, block=0.01)
    waiting = asyncio.create_task(reader.read(count=9, block=5))
    await asyncio.sleep(0.05)

    await place.append("a")

    assert ids(await waiting) == ["a"]


async def test_what_a_dead_member_left_is_taken_over_until_it_is_acknowledged(
    place: Place,
) -> None:
    await place.append("a", "b")
    assert await read(place.reader("dead"), wanted=2) == ["a", "b"]
    heir = place.reader("heir")

    assert await heir.reclaim(count=9, idle=60) == []
    left = await heir.reclaim(count=9, idle=0)
    await heir.acknowledge([left[0].stream_id])
    await heir.acknowledge([])

    assert ids(left) == ["a", "b"]
    assert ids(await heir.reclaim(count=9, idle=0)) == ["b"]


async def test_a_store_that_came_back_empty_is_read_from_its_beginning(place: Place) -> None:
    reader = place.reader("one")
    await place.append("a", "b")
    assert await read(reader, wanted=2) == ["a", "b"]

    await place.empty()
    await place.append("c")

    assert await read(reader, wanted=1) == ["c"]
