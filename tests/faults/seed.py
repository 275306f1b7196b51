"""One seed from the first process to the verdict; run by `python -m tests.faults`.

The answer is `result.json` in the seed's folder.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path

from agora_sidecar.store import StoreError
from tests.faults.inflict import inflict
from tests.faults.logs import bugs
from tests.faults.oracle import judge, lost
from tests.faults.process import wait_for
from tests.faults.sabotage import sabotage
from tests.faults.sandbox import end_with, enter
from tests.faults.schedule import schedule
from tests.faults.vendor import Vendor
from tests.faults.world import QUARANTINE, World

RECOVER_WITHIN = 5.0
"""Seconds from the last mend to a fresh event on the stream."""
DRAIN_WITHIN = 20.0
"""Seconds for every acknowledged event to be there."""
QUIET = 0.4
"""Seconds without a new entry after which no more are expected."""
SHOWN = 20
"""Wrong events of a kind whose whole story is told."""


@dataclass(slots=True)
class Result:
    """What became of one seed; `failures` is empty if all is well."""

    seed: int
    program: str = ""
    took: float = 0.0
    recovered: float = 0.0
    drained: float = 0.0
    issued: int = 0
    acknowledged: int = 0
    entries: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[str]] = field(default_factory=dict)


class Seed:
    """One run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._folder: Path = options.folder
        self._plan = schedule(options.seed, seconds=options.seconds)
        self._world = World(
            self._folder,
            seed=options.seed,
            sandboxed=options.sandboxed,
            small_disk=any(fault.kind == "disk full" for fault in self._plan),
        )
        self._vendor = Vendor(
            self._world.vendor_port,
            seed=options.seed,
            rate=options.rate,
            timeout=options.timeout,
        )
        self._healed = 0.0
        self.result = Result(options.seed, program=self._world.program)

    async def run(self) -> Result:
        """Everything in order; whatever happens is in the result."""
        began = time.monotonic()
        try:
            async with self._world.running():
                await self._traffic()
                await self._recovery()
                await self._drain()
                await self._settle()
                await self._verdict()
        except (TimeoutError, StoreError) as error:
            self._fail("stuck", [str(error)])
        finally:
            self._fail("processes", self._world.wrong)
            self._fail("answers", self._vendor.wrong)
            logs = self._world.receiver.logs
            self._fail("bugs", [f"{log.name}: {x}" for log in logs for x in bugs(log.read_text())])
            self._sum_up(time.monotonic() - began)
        return self.result

    async def _traffic(self) -> None:
        self._world.began = time.monotonic()
        _, *done = await asyncio.gather(
            self._vendor.run(self._options.seconds),
            *(inflict(self._world, fault) for fault in self._plan),
        )
        self.result.faults.update(
            fault.kind for fault, was_done in zip(self._plan, done, strict=True) if was_done
        )
        await self._world.heal()
        self._healed = time.monotonic()

    async def _recovery(self) -> None:
        began = time.monotonic()
        notice = await self._vendor.fresh(within=RECOVER_WITHIN)
        there = _Arrivals(self._world)
        if notice is None:
            self._fail("slow", [f"no fresh event was acknowledged within {RECOVER_WITHIN} s"])
        elif not await wait_for(lambda: there.has(notice.notice_id), RECOVER_WITHIN):
            self._fail("slow", [f"a fresh event is not on the stream after {RECOVER_WITHIN} s"])
        self.result.recovered = time.monotonic() - began
        if self.result.recovered > RECOVER_WITHIN:
            self._fail("slow", [f"a fresh event took {self.result.recovered:.1f} s"])
        self._world.note(f"a fresh event took {self.result.recovered:.2f} s")

    async def _drain(self) -> None:
        there = _Arrivals(self._world)
        await wait_for(lambda: there.has_all(self._vendor), DRAIN_WITHIN)
        self.result.drained = time.monotonic() - self._healed
        self._world.note(f"drained {self.result.drained:.2f} s after all was healed")
        await self._vendor.settled()
        await self._vendor.deliver_again(self._options.again)
        await wait_for(lambda: there.has_all(self._vendor), DRAIN_WITHIN)
        if not await wait_for(self._spool_is_empty, DRAIN_WITHIN):
            left = await self._world.spooled()
            self._fail("slow", [f"{left} events are in the spool after {DRAIN_WITHIN} s"])

    async def _spool_is_empty(self) -> bool:
        return not await self._world.spooled()

    async def _settle(self) -> None:
        """Until nothing more comes, not even from a receiver that starts with what is left."""
        await self._quiet()
        await self._world.end_receiver()
        if self._options.seed % 3 == 0:
            await self._world.start_receiver()
            if not await wait_for(self._world.ready, RECOVER_WITHIN):
                self._fail("slow", ["a new receiver is not ready in time"])
            await self._quiet()
            await self._world.end_receiver()

    async def _quiet(self) -> None:
        there = _Arrivals(self._world)
        last, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET:
            await asyncio.sleep(0.05)
            if (count := await there.count()) != last:
                last, since = count, time.monotonic()

    async def _verdict(self) -> None:
        if self._options.sabotage:
            await sabotage(self._world)
        entries = [entry for _, entry in await self._world.entries()]
        self.result.entries = len(entries)
        verdict = judge(self._vendor.issued, entries, ordered=not self._plan)
        for kind, ids in verdict.failures.items():
            self._fail(kind, ids)
        set_aside = await self._world.command("XLEN", QUARANTINE)
        if set_aside:
            self._fail("answers", [f"{set_aside} events are in the quarantine"])

    def _fail(self, kind: str, what: list[str]) -> None:
        if what:
            self.result.failures.setdefault(kind, []).extend(what)

    def _sum_up(self, took: float) -> None:
        notices = self._vendor.issued.values()
        self.result.took = took
        self.result.issued = len(notices)
        self.result.acknowledged = sum(notice.acknowledged for notice in notices)
        self.result.answers = self._vendor.answers
        if not self.result.acknowledged:
            self._fail("stuck", ["no event was acknowledged: nothing was proven"])
        lines = [*map(str, self._plan), "", *self._world.timeline, ""]
        for kind, found in self.result.failures.items():
            lines += [f"{kind}: {len(found)}", *(f"  {line}" for line in found[:SHOWN])]
            lines += [f"    {line}" for what in found[:SHOWN] for line in self._story(what)]
        (self._folder / "timeline.txt").write_text("\n".join(lines) + "\n")

    def _story(self, notice_id: str) -> list[str]:
        return [
            f"{attempt.notice_id} sent {attempt.sent:.3f} took {attempt.took:.3f}: {attempt.answer}"
            for attempt in self._vendor.attempts
            if attempt.notice_id == notice_id
        ]


class _Arrivals:
    """The ids on the stream, read as they come."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last = ""
        self._ids: list[str] = []

    async def has(self, notice_id: str) -> bool:
        await self._read()
        return notice_id in self._ids

    async def has_all(self, vendor: Vendor) -> bool:
        await self._read()
        return not lost(vendor.issued, set(self._ids))

    async def count(self) -> int:
        await self._read()
        return len(self._ids)

    async def _read(self) -> None:
        for stream_id, entry in await self._world.entries(after=self._last):
            self._last = stream_id
            self._ids.append(entry.id)


def options_of(arguments: list[str]) -> argparse.Namespace:
    """The command line of one seed; `__main__` writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--again", type=int, default=40)
    parser.add_argument("--sandboxed", action="store_true")
    parser.add_argument("--sabotage", action="store_true")
    return parser.parse_args(arguments)


async def _main(options: argparse.Namespace) -> None:
    # whoever started us holds the other end: when he is gone, so are we
    asyncio.get_running_loop().add_reader(sys.stdin, end_with, sys.stdin.fileno())
    result = await Seed(options).run()
    data = options.folder / "data"
    if result.failures and options.sandboxed:  # a mount of ours goes with us
        shutil.copytree(data, options.folder / "data-kept", ignore_dangling_symlinks=True)
    whole = {each.name: getattr(result, each.name) for each in fields(result)}
    (options.folder / "result.json").write_text(json.dumps(whole, indent=1))


def main() -> None:
    """Run one seed."""
    options = options_of(sys.argv[1:])
    if options.sandboxed:
        enter()
    asyncio.run(_main(options))


if __name__ == "__main__":
    main()
