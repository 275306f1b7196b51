# ruff: noqa: T201 - a program for people
"""Proof that recordings are closed once, never while they run, and stopped only where it is owed.

    python -m tests.simulation --seeds 1-1000 --jobs 2
    python -m tests.simulation --seeds 17 --timeline     one seed again, and what happened in it
    python -m tests.simulation --seeds 1-100 --lose 1    every callback is lost
    python -m tests.simulation --seeds 17 --plan         only what would go wrong, and when

For each seed, hundreds of recordings live in the emulator while callbacks are lost, doubled and
late, the vendor's API fails in every way it knows, and our schedulers are killed, paused and
replaced. The code of ours is the real one; the clock is virtual: hours pass in a second. What was
told, asked and stopped is compared with what the vendor knows to be true. Seed 0, in which nothing
goes wrong but the losses, always runs too.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.faults.__main__ import seeds_of
from tests.simulation import report
from tests.simulation.sabotage import DAMAGE
from tests.simulation.scenario import FAULTS, scenario
from tests.simulation.seed import Options, Result, run_seed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-50"), help="as 1-200 or 3,7")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="seeds at a time")
    parser.add_argument("--recordings", type=int, default=200, help="in each seed")
    parser.add_argument(
        "--lose", type=float, default=0.3, help="part of the callbacks lost, 0 to 1"
    )
    parser.add_argument(
        "--timeline", action="store_true", help="print what happened to what is wrong"
    )
    parser.add_argument(
        "--plan", action="store_true", help="print what would go wrong, run nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a report")
    parser.add_argument(
        "--sabotage", choices=list(DAMAGE), default="", help="break a rule of ours: must be found"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace, folder: Path) -> Iterator[Result]:
    """Each seed's result as it comes, behind a progress bar."""
    shared = Options(
        recordings=options.recordings,
        lose=options.lose,
        sabotage=options.sabotage,
    )
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, TimeRemainingColumn(), console=console) as progress,
        ProcessPoolExecutor(options.jobs, mp_context=context) as pool,
    ):
        task = progress.add_task("seeds", total=len(options.seeds))
        running = [pool.submit(run_seed, seed, shared) for seed in options.seeds]
        try:
            for done in as_completed(running):
                result = done.result()
                if result.failures:
                    said = _keep(result, options, folder)
                    console.print(said, highlight=False, markup=False, soft_wrap=True)
                progress.advance(task)
                yield result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _keep(result: Result, options: argparse.Namespace, folder: Path) -> str:
    command = f"python -m tests.simulation --seeds {result.seed} --timeline"
    if options.lose != FAULTS.lose:
        command += f" --lose {options.lose:g}"
    if options.recordings != Options().recordings:
        command += f" --recordings {options.recordings}"
    if options.sabotage:
        command += f" --sabotage '{options.sabotage}'"
    if options.timeline:
        return report.failed(result, command, None) + "\n" + result.timeline
    path = folder / f"{result.seed}.txt"
    path.write_text(result.timeline + "\n")
    return report.failed(result, command, path)


def main() -> int:
    """Run the seeds; 1 if anything is wrong, 130 if interrupted."""
    options = _arguments()
    if options.plan:
        for seed in options.seeds:
            print(
                f"seed {seed}", *scenario(seed, recordings=options.recordings).lines(), sep="\n  "
            )
        return 0
    folder = Path(tempfile.mkdtemp(prefix="as-simulation-"))
    try:
        results = sorted(_run(options, folder), key=lambda result: result.seed)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        if not any(folder.iterdir()):
            shutil.rmtree(folder)
    print(report.words(results))
    if options.json:
        report.write(options.json, results)
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main())
