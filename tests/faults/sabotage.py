"""Damage that the harness must find, done to the stream between the product and the judge."""

from tests.faults.world import STREAM, World

DAMAGE = ("lost", "doubled", "foreign", "altered", "misordered")
"""What is done, once each, under the names of the failures that must be found."""


async def sabotage(world: World) -> None:
    """One event of each kind of damage."""
    entries = await world.entries()
    middle = len(entries) // 2
    (gone, _), (_, twice), (changed_id, changed), (moved_id, moved) = entries[middle : middle + 4]
    for stream_id in (gone, changed_id, moved_id):
        await world.command("XDEL", STREAM, stream_id)
    for notice_id, data in (
        (twice.id, twice.data),
        ("nobody's", b"{}"),
        (changed.id, changed.data + b" "),
        (moved.id, moved.data),
    ):
        await world.command("XADD", STREAM, "*", "id", notice_id, "data", data.decode())
