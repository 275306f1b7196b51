"""What an event costs while the stream grows, and what the store needs to hold it all."""

import argparse
from itertools import islice
from statistics import median
from typing import Any

from agora_sidecar.keys import Keys
from tests.bench.load import closed_loop
from tests.bench.notices import requests
from tests.bench.say import say, table
from tests.bench.world import (
    STREAM,
    Cores,
    Receiver,
    a_receiver,
    a_store,
    cpu,
    scratch,
    store_memory,
)
from tests.integration.processes import Store

EXAMPLE = "python -m tests.bench growth --quick"
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
QUICK = 100_000
ROUNDS, EVENTS = 5, 4_000
CHUNK = 10_000
"""Entries or marks that one script makes; it keeps the store from everybody else meanwhile."""
DAY_MS = "86400000"
ENTRIES = """
local like = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][2]
for _ = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', unpack(like)) end
"""
MARKS = """
for n = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  redis.call('SET', KEYS[1] .. string.format('%032x', n), '1700000000000-0', 'PX', ARGV[3])
end
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `growth` takes."""
    parser.add_argument("--quick", action="store_true", help=f"stop at {QUICK}")


async def measure(options: argparse.Namespace, cores: Cores) -> dict[str, Any]:
    """One stream that grows; then the same with as many notices remembered."""
    largest = QUICK if options.quick else LENGTHS[-1]
    made = requests("9" * 8, range((len(LENGTHS) + 2) * ROUNDS * EVENTS))
    rows: list[dict[str, Any]] = []
    entry_bytes = mark_bytes = float("nan")
    with scratch() as folder:
        async with (
            a_store(folder, fsync=False) as store,
            a_receiver(folder, store.url, cores=cores, durability="memory") as receiver,
        ):
            await closed_loop(receiver.port, islice(made, 500))
            for length in (length for length in LENGTHS if length <= largest):
                say(f"growth: a stream of {length} entries …")
                entry_bytes = await _lengthen(store, length)
                rows.append(
                    {
                        "entries": length,
                        "remembered": await store.do("DBSIZE") - 1,
                        **await _cost(receiver, store, made),
                    }
                )
            say(f"growth: {largest} notices remembered …")
            mark_bytes = await _remember(store, largest - await store.do("DBSIZE"))
            cost = await _cost(receiver, store, made)
            rows.append({"entries": largest, "remembered": largest, **cost})
    return {
        "events": ROUNDS * EVENTS,
        "rows": rows,
        "entry_bytes": entry_bytes,
        "mark_bytes": mark_bytes,
    }


async def _lengthen(store: Store, length: int) -> float:
    """Make the stream that long; bytes of the store for each entry that was added."""
    there = int(await store.do("XLEN", STREAM))
    if there > length:
        await store.do("XTRIM", STREAM, "MAXLEN", str(length))
        return float("nan")
    before = await store_memory(store)
    for start in range(there, length, CHUNK):
        await store.do("EVAL", ENTRIES, "1", STREAM, str(min(CHUNK, length - start)))
    return (await store_memory(store) - before) / max(1, length - there)


async def _remember(store: Store, count: int) -> float:
    """Leave marks of notices that never come; bytes of the store for each.

    Up to a round number and not beyond 2^20: there the store doubles its table, and each command
    moves a part of it for a while, which is seen in the dearest round wherever it happens.
    """
    prefix = Keys().seen("default", "")
    before = await store_memory(store)
    for start in range(0, count, CHUNK):
        size = str(min(CHUNK, count - start))
        await store.do("EVAL", MARKS, "1", prefix, str(start), size, DAY_MS)
    return (await store_memory(store) - before) / count


async def _cost(receiver: Receiver, store: Store, made: Any) -> dict[str, Any]:
    """CPU microseconds an event, of both; the median of the rounds."""
    assert store.process is not None
    pids = {"receiver_us": receiver.pid, "store_us": store.process.pid}
    found: dict[str, list[float]] = {name: [] for name in pids}
    bad = 0
    for _ in range(ROUNDS):
        batch = list(islice(made, EVENTS))
        length = await store.do("XLEN", STREAM)
        before = {name: cpu(pid) for name, pid in pids.items()}
        good, _seconds = await closed_loop(receiver.port, batch)
        for name, pid in pids.items():
            found[name].append((cpu(pid) - before[name]) / max(1, good) * 1e6)
        bad += EVENTS - good + abs(await store.do("XLEN", STREAM) - length - good)
    typical = {name: median(values) for name, values in found.items()}
    return {**typical, "store_most_us": max(found["store_us"]), "bad": bad}


def right(result: dict[str, Any]) -> bool:
    """Whether every event was stored once."""
    return all(row["bad"] == 0 for row in result["rows"])


def show(result: dict[str, Any]) -> str:
    """Two tables."""
    costs = table(
        [
            "entries on the stream",
            "notices remembered",
            "receiver, CPU µs an event",
            "store, CPU µs an event",
            "the same, dearest round",
        ],
        [
            [
                f"{r['entries']:,}",
                f"{r['remembered']:,}",
                f"{r['receiver_us']:.1f}",
                f"{r['store_us']:.1f}",
                f"{r['store_most_us']:.1f}",
            ]
            for r in result["rows"]
        ],
    )
    kept = table(
        ["a million of", "memory of the store"],
        [
            ["entries", f"{result['entry_bytes'] * 1e6 / 2**20:.0f} MiB"],
            ["remembered notices", f"{result['mark_bytes'] * 1e6 / 2**20:.0f} MiB"],
        ],
    )
    return f"{costs}\n\n{kept}"
