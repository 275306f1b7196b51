"""What recordings cost: a round by how many are open, the store's memory for each, a scheduler at rest.

Ends with 0 only if every recording that was due was asked about, and only those.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from prometheus_client import CollectorRegistry

from agora_sidecar.agora.recordings import Recording
from agora_sidecar.agora.replies import QueryReply, StopReply
from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.store import Redis, connect
from scheduler.leadership import Lease
from scheduler.recordings.ledger import Change
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.observe import observe
from scheduler.recordings.reconcile import Reconciler
from scheduler.recordings.redis_ledger import LEASE, RedisLedger
from scheduler.recordings.session import Evidence, Reading, Session, Source, hinted
from scheduler.recordings.timings import Timings
from tests.bench.given import count
from tests.bench.say import say, table
from tests.bench.world import Cores, a_store, cpu, resident, scratch, store_memory
from tests.integration.processes import Store, get, sidecar, until

EXAMPLE = "python -m tests.bench recordings --open 1000 10000 --rounds 15"
DUE = 100
"""Recordings that are due in a round."""
LONG = 600.0
"""Seconds of silence; the others are due much later."""
QUIET = 3.0
"""Seconds after a scheduler is ready."""


class Vendor:
    """Answers at once that it records: only our own work is measured."""

    def __init__(self) -> None:
        self.asked = 0

    def has_answered(self, host: str) -> bool:
        return bool(host)

    async def query(self, recording: Recording, *, avoid: str = "") -> QueryReply:
        self.asked += bool(recording.sid)
        return QueryReply("h", 5, (), None, "", {})

    async def stop(self, recording: Recording, *, async_stop: bool = True) -> StopReply:
        raise AssertionError(f"nothing is to be stopped: {recording.sid} {async_stop}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `recordings` takes."""
    parser.add_argument(
        "--open", type=count, nargs="+", default=[1_000, 10_000], help="open recordings"
    )
    parser.add_argument("--rounds", type=count, default=15, help="rounds of each (15)")


async def measure(options: argparse.Namespace, cores: Cores) -> dict[str, Any]:
    """Ledgers of each size, one after the other; then a scheduler on an empty store."""
    rows = []
    with scratch() as folder:
        for number, size in enumerate(options.open):
            say(f"recordings: {size} open …")
            async with a_store(folder / f"store{number}", fsync=False) as store:
                rows.append(await _of_size(store, size, rounds=options.rounds))
        say("recordings: a scheduler at rest …")
        async with a_store(folder / "rest", fsync=False) as store:
            rest = await _at_rest(folder / "scheduler", store)
    del cores
    return {"due": DUE, "rounds": options.rounds, "rows": rows, "at_rest_mib": rest}


async def _of_size(store: Store, size: int, *, rounds: int) -> dict[str, Any]:
    """The CPU of a round, ours and the store's, and memory for each open recording."""
    assert store.process is not None
    client: Redis = connect(store.url, connections=2 * DUE)
    before = await store_memory(store)
    sids = [f"{number:032x}" for number in range(size)]
    await _fill(client, sids)
    memory = (await store_memory(store) - before) / size
    vendor, clock = Vendor(), SystemClock()
    ledger = RedisLedger(client, Keys(), keep=1000)
    reconciler = Reconciler(
        ledger=ledger,
        client=vendor,
        lease=Lease(client, Keys(), LEASE, length=60, clock=clock),
        timings=Timings(silence=LONG),
        clock=clock,
        metrics=RecordingMetrics(CollectorRegistry()),
        at_once=DUE,
    )
    await reconciler.run_once()  # takes the lead
    ours, theirs = [], []
    expected = vendor.asked
    for number in range(rounds):
        await client.zadd(Keys().due, dict.fromkeys(sids[-DUE:], 1.0 + number))
        await _silence(ledger, sids[-DUE:])
        began, store_began = time.process_time(), cpu(store.process.pid)
        await reconciler.run_once()
        ours.append(time.process_time() - began)
        theirs.append(cpu(store.process.pid) - store_began)
        expected += DUE
    await client.aclose()
    return {
        "open": size,
        "round_ms": median(ours) * 1000,
        "store_ms": median(theirs) * 1000,
        "bytes": memory,
        "asked": vendor.asked,
        "expected": expected,
    }


async def _fill(client: Redis, sids: list[str]) -> None:
    """Recordings that were heard of a moment ago, as they are after a while."""
    ledger, now = RedisLedger(client, Keys(), keep=1000), time.time()
    for start in range(0, len(sids), DUE):
        await asyncio.gather(
            *(
                ledger.save(Change(_session(sid, now)), due=now + LONG, now=now)
                for sid in sids[start : start + DUE]
            )
        )


async def _silence(ledger: RedisLedger, sids: list[str]) -> None:
    """Let these be asked about: their own hints say so."""
    now = time.time()
    for sid in sids:
        session = await ledger.load(sid)
        assert session is not None
        silent = hinted(session, "bench", at=now)
        await ledger.save(Change(silent), due=1.0, now=now)


def _session(sid: str, now: float) -> Session:
    session = Session(
        sid=sid,
        created_at=now - 60,
        started_at=now - 60,
        app_id="app",
        resource_id="r" * 300,
        mode="mix",
        cname="a-channel-name",
        uid="900001",
        registered=True,
    )
    for second, reading, text in (
        (1, Reading.STARTED, "40 recorder_started, status 0"),
        (2, Reading.ALIVE, "43 recorder_audio_stream_state_changed"),
        (3, Reading.RUNNING, "status 5"),
        (50, Reading.PROGRESS, "33 uploading_progress"),
    ):
        source = Source.QUERY if reading is Reading.RUNNING else Source.EVENT
        told = Evidence(at=now - 60 + second, source=source, reading=reading, text=text)
        session = observe(session, told)
    return session


async def _at_rest(folder: Path, store: Store) -> float:
    """MiB of a scheduler that has nothing to do."""
    more = f"""
[agora]
app_id = "a"
customer_id = "c"
customer_secret = "s"
base_urls = ["http://127.0.0.1:9"]
[[allowlist.targets]]
kind = "file"
path = "{folder}/allow.conf"
"""
    async with sidecar("scheduler", folder, store.url, more=more) as scheduler:
        await until(lambda: _ready(scheduler.ports.scheduler_ops))
        await asyncio.sleep(QUIET)
        return resident(scheduler.process.pid)


async def _ready(port: int) -> bool:
    return (await get(port, "/readyz"))[0] == 200


def ratio(result: dict[str, Any]) -> float:
    """The dearest round beside that of the fewest open recordings."""
    costs = [row["round_ms"] + row["store_ms"] for row in result["rows"]]
    return float(max(costs) / costs[0])


def right(result: dict[str, Any]) -> bool:
    """Whether those that were due were asked about, and no others."""
    return all(row["asked"] == row["expected"] for row in result["rows"])


def show(result: dict[str, Any]) -> str:
    """Two tables."""
    rounds = table(
        ["open recordings", "our CPU, ms", "the store's, ms", "bytes of the store for each"],
        [
            [
                f"{row['open']:,}",
                f"{row['round_ms']:.1f}",
                f"{row['store_ms']:.1f}",
                f"{row['bytes']:.0f}",
            ]
            for row in result["rows"]
        ],
    )
    other = table(
        ["what", "value"],
        [
            ["the dearest round beside the first", f"{ratio(result):.2f} ×"],
            ["a scheduler at rest, resident", f"{result['at_rest_mib']:.1f} MiB"],
            ["Python", sys.version.split()[0]],
        ],
    )
    return f"A round with {result['due']} due, median of {result['rounds']}:\n\n{rounds}\n\n{other}"
