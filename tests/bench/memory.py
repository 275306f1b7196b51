"""Resident memory of a receiver at rest and after many events, and how soon it is ready."""

import argparse
import asyncio
from itertools import islice
from statistics import median
from typing import Any

from tests.bench.given import count
from tests.bench.load import closed_loop
from tests.bench.notices import requests
from tests.bench.say import say, table
from tests.bench.world import STREAM, Cores, a_receiver, a_store, resident, scratch

EXAMPLE = "python -m tests.bench memory --events 200000 --rounds 5"
QUIET = 2.0
"""Seconds after the last thing that happened."""
BATCH = 20_000
"""Requests made at a time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `memory` takes."""
    parser.add_argument("--events", type=count, default=200_000, help="sent (200000)")
    parser.add_argument("--rounds", type=count, default=5, help="starts (5)")


async def measure(options: argparse.Namespace, cores: Cores) -> dict[str, Any]:
    """Start it several times; the last one gets the events. The store forces each write."""
    starts, at_rest = [], []
    good, stored, after = 0, 0, (0.0, 0.0)
    with scratch() as folder:
        async with a_store(folder, fsync=True) as store:
            for number in range(options.rounds):
                say(f"memory: start {number + 1} of {options.rounds} …")
                async with a_receiver(folder, store.url, cores=cores) as receiver:
                    starts.append(receiver.ready_after)
                    await asyncio.sleep(QUIET)
                    at_rest.append(resident(receiver.pid))
                    if number + 1 == options.rounds:
                        good = await _send(receiver.port, options.events)
                        await asyncio.sleep(QUIET)
                        after = resident(receiver.pid), resident(receiver.pid, "VmHWM")
                        stored = await store.do("XLEN", STREAM)
    return {
        "ready_s": median(starts),
        "ready_slowest_s": max(starts),
        "starts": options.rounds,
        "at_rest_mib": median(at_rest),
        "after_mib": after[0],
        "most_mib": after[1],
        "events": good,
        "stored": stored,
    }


async def _send(port: int, events: int) -> int:
    """200s."""
    good, made = 0, requests("7" * 8, range(events))
    while batch := list(islice(made, BATCH)):
        good += (await closed_loop(port, batch))[0]
        say(f"memory: {good} of {events} events …")
    return good


def right(result: dict[str, Any]) -> bool:
    """Whether every event was stored once."""
    return bool(result["events"] == result["stored"] > 0)


def show(result: dict[str, Any]) -> str:
    """A table."""
    return table(
        ["what", "value"],
        [
            [
                f"from exec to /readyz 200, median of {result['starts']}",
                f"{result['ready_s']:.2f} s",
            ],
            ["the slowest of them", f"{result['ready_slowest_s']:.2f} s"],
            ["resident at rest, median", f"{result['at_rest_mib']:.1f} MiB"],
            [f"resident after {result['events']} events", f"{result['after_mib']:.1f} MiB"],
            ["at most", f"{result['most_mib']:.1f} MiB"],
            ["entries on the stream", str(result["stored"])],
        ],
    )
