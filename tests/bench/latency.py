"""How long an answer takes at a fixed rate, in the situations that matter; and that nothing is lost."""

import argparse
import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.given import amount, count
from tests.bench.load import Answer, OpenLoop, Plan
from tests.bench.notices import notice_id
from tests.bench.say import say, table
from tests.bench.world import Cores, Receiver, a_receiver, a_store, scratch, settled
from tests.integration.processes import Store

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
EXAMPLE = "python -m tests.bench latency --rate 2000 --seconds 10 --only fsync stopped-500ms"
STOPPED = 5.0
"""Seconds that the store is stopped, at most half of the load."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A store, a promise, and whether the store is stopped in the middle."""

    name: str
    says: str
    fsync: bool
    durability: str
    hedge_after: float = 2.0
    stopped: bool = False


SITUATIONS = (
    Situation("memory", "store without fsync, durability = memory", False, "memory"),
    Situation("fsync", "store forces each write (AOF always), durability = disk", True, "disk"),
    Situation("spool", "store without AOF, durability = disk: the spool stands in", False, "disk"),
    Situation(
        "stopped-500ms", "AOF always, store stopped, hedge_after = 500ms", True, "disk", 0.5, True
    ),
    Situation("stopped-2s", "AOF always, store stopped, hedge_after = 2s", True, "disk", 2.0, True),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `latency` takes."""
    names = [situation.name for situation in SITUATIONS]
    parser.add_argument("--rate", type=amount, default=2000.0, help="requests a second (2000)")
    parser.add_argument("--seconds", type=amount, default=10.0, help="of load a situation (10)")
    parser.add_argument("--processes", type=count, default=2, help="that send (2)")
    parser.add_argument("--connections", type=count, default=4000, help="at most, in all (4000)")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these situations")


async def measure(options: argparse.Namespace, cores: Cores) -> dict[str, Any]:
    """Every situation in turn."""
    rows: dict[str, Any] = {}
    for situation in SITUATIONS:
        if situation.name not in options.only:
            continue
        say(f"latency: {situation.says}, {options.rate:g}/s for {options.seconds:g} s …")
        plan = Plan(
            run=f"{len(rows):x}{os.getpid():08x}",
            rate=options.rate,
            seconds=options.seconds,
            processes=options.processes,
            connections=options.connections,
        )
        rows[situation.name] = await _one(situation, plan, cores)
    return {"rate": options.rate, "seconds": options.seconds, "situations": rows}


async def _one(situation: Situation, plan: Plan, cores: Cores) -> dict[str, Any]:
    hedge = f"{situation.hedge_after * 1000:.0f}ms"
    with scratch() as folder:
        async with (
            a_store(folder, fsync=situation.fsync) as store,
            a_receiver(
                folder, store.url, cores=cores, durability=situation.durability, hedge_after=hedge
            ) as receiver,
        ):
            answers, stopped = await _load(situation, plan, receiver, store)
            good = [answer for answer in answers if answer.status == 200]
            found = await settled(receiver, store, least=len(good))
    ids = [notice_id(plan.run, answer.number) for answer in good]
    return {
        "says": situation.says,
        "hedge_after": situation.hedge_after,
        "stopped": stopped,
        "sent": plan.count,
        "ms": {f"{p:g}": percentile([a.took for a in answers], p) for p in PERCENTILES},
        "late_p99_ms": percentile([answer.late for answer in answers], 99),
        "statuses": dict(Counter(str(answer.status) for answer in answers)),
        "outcomes": dict(Counter(answer.outcome for answer in answers)),
        "lost": sum(found[one] == 0 for one in ids),
        "twice": sum(times > 1 for times in found.values()),
    }


async def _load(
    situation: Situation, plan: Plan, receiver: Receiver, store: Store
) -> tuple[list[Answer], float]:
    """The answers, and the seconds that the store was stopped."""
    load = OpenLoop(plan, port=receiver.port)
    try:
        await load.prepare()
        if not situation.stopped:
            return await load.run(), 0.0
        stopped = min(STOPPED, plan.seconds / 2)
        middle = (load.start + (plan.seconds - stopped) / 2, stopped)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(load.run())
            group.create_task(_stop(store, *middle))
        return running.result(), stopped
    finally:
        await load.end()


async def _stop(store: Store, when: float, seconds: float) -> None:
    await asyncio.sleep(when - asyncio.get_running_loop().time())
    store.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        store.send(signal.SIGCONT)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank; 100 is the largest. NaN of nothing."""
    ranked = sorted(values)
    if not ranked:
        return float("nan")
    return ranked[max(0, -int(-len(ranked) * percent // 100) - 1)]


def right(result: dict[str, Any]) -> bool:
    """Whether everything was answered with 200 and is on the stream once."""
    return all(
        not row["lost"] and not row["twice"] and row["statuses"] == {"200": row["sent"]}
        for row in result["situations"].values()
    )


def show(result: dict[str, Any]) -> str:
    """A table."""
    head = [
        "situation",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "answers",
        "acknowledged by",
        "lost",
        "twice",
        "sent late, p99",
    ]
    rows = []
    for row in result["situations"].values():
        times = [f"{ms:.1f}" for ms in row["ms"].values()]
        answers = ", ".join(f"{n} × {s}" for s, n in sorted(row["statuses"].items()))
        ways = ", ".join(f"{n} {way}" for way, n in sorted(row["outcomes"].items()))
        says = row["says"].replace("stopped", f"stopped for {row['stopped']:g} s")
        rows.append(
            [
                says,
                *times,
                answers,
                ways,
                str(row["lost"]),
                str(row["twice"]),
                f"{row['late_p99_ms']:.1f}",
            ]
        )
    return table(head, rows)
