# ruff: noqa: T201 - a program for people
"""Proof that no acknowledged event is lost and none is stored twice, whatever breaks.

    python -m tests.faults --seeds 1-200 --jobs 2
    python -m tests.faults --seeds 17 --keep         one seed again, its folder kept
    python -m tests.faults --seeds 17 --plan         only what would go wrong, and when

For each seed a real store and the receiver run behind bad networks while recordings send events;
processes are killed and stopped, the store refuses, the disk fills up. Then everything is healed and
the whole stream is compared with what was sent. Seed 0, without faults, always runs too.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from tests.faults import report
from tests.faults.sandbox import UNSHARE, available
from tests.faults.schedule import schedule

LIMIT = 120.0
"""Seconds beyond its traffic after which a seed is ended."""


def seeds_of(text: str) -> list[int]:
    """`1-3,7` as numbers; seed 0 is always among them.

    Raises:
        argparse.ArgumentTypeError: it is written otherwise.
    """
    found = {0}
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            found.update(range(int(first), int(last or first) + 1))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text}: write seeds as 1-200 or 3,7") from error
    return sorted(found)


class Runs:
    """All seeds, some at a time."""

    def __init__(self, options: argparse.Namespace, root: Path) -> None:
        self._options = options
        self._root = root
        self._sandboxed = not options.no_sandbox and available()
        self._places = asyncio.Semaphore(options.jobs)
        self.results: list[dict[str, Any]] = []

    async def run(self) -> None:
        """Run them behind a progress bar."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True)
        if not self._sandboxed:
            console.print("no namespaces here: disks are filled by a limit on the size of files")
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            task = progress.add_task("seeds", total=len(self._options.seeds))
            async with asyncio.TaskGroup() as group:
                for seed in self._options.seeds:
                    group.create_task(self._one(seed, progress, task))
        self.results.sort(key=lambda result: result["seed"])

    async def _one(self, seed: int, progress: Progress, task: TaskID) -> None:
        async with self._places:
            folder = self._root / f"{seed}"
            folder.mkdir()
            await self._process(seed, folder)
            result = _result(seed, folder)
            self.results.append(result)
            if result["failures"]:
                progress.console.print(
                    report.failed(result, folder), highlight=False, markup=False, soft_wrap=True
                )
            elif not self._options.keep:
                shutil.rmtree(folder, ignore_errors=True)
            progress.advance(task)

    async def _process(self, seed: int, folder: Path) -> None:
        options = self._options
        with (folder / "harness.log").open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(UNSHARE if self._sandboxed else ()),
                *(sys.executable, "-m", "tests.faults.seed"),
                *("--seed", str(seed), "--folder", str(folder)),
                *("--seconds", str(options.seconds), "--rate", str(options.rate)),
                *("--timeout", str(options.timeout)),
                *(["--sandboxed"] if self._sandboxed else []),
                *(["--sabotage"] if options.sabotage else []),
                stdin=asyncio.subprocess.PIPE,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us alone: we end them
            )
        try:
            async with asyncio.timeout(options.seconds + LIMIT):
                await process.wait()
        except TimeoutError:
            pass  # there is no result: that is what will be told
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _result(seed: int, folder: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        said = (folder / "harness.log").read_text(errors="replace").splitlines()[-12:]
        return {"seed": seed, "failures": {"stuck": [" / ".join(said) or "no result in time"]}}
    return result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-20"), help="as 1-200 or 3,7")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="seeds at a time")
    parser.add_argument("--seconds", type=float, default=6.0, help="of traffic and faults, a seed")
    parser.add_argument("--rate", type=float, default=150.0, help="events a second")
    parser.add_argument(
        "--timeout", type=float, default=3.0, help="seconds a client waits (vendor: 10)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folders of good seeds, too")
    parser.add_argument("--plan", action="store_true", help="print the schedules, run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a report")
    parser.add_argument("--no-sandbox", action="store_true", help="do without namespaces")
    parser.add_argument("--sabotage", action="store_true", help="damage each stream: must be found")
    return parser.parse_args()


async def _run(runs: Runs) -> None:
    ours = asyncio.current_task()
    assert ours is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell had SIGINT ignored
        asyncio.get_running_loop().add_signal_handler(number, ours.cancel)
    await runs.run()


def main() -> int:
    """Run the seeds; 1 if anything is wrong, 130 if interrupted."""
    options = _arguments()
    if options.plan:
        for seed in options.seeds:
            print(f"seed {seed}", *schedule(seed, seconds=options.seconds), sep="\n  ")
        return 0
    root = Path(tempfile.mkdtemp(prefix="as-faults-"))
    runs = Runs(options, root)
    try:
        asyncio.run(_run(runs))
    except (KeyboardInterrupt, asyncio.CancelledError):
        shutil.rmtree(root, ignore_errors=True)
        print("interrupted", file=sys.stderr)
        return 130
    print(report.words(runs.results))
    if options.json:
        report.write(options.json, runs.results)
    bad = any(result["failures"] for result in runs.results)
    if options.keep or (bad and not options.sabotage):
        print(f"folders are kept in {root}")
    else:
        shutil.rmtree(root, ignore_errors=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
