"""What receiver and scheduler cost, how soon it answers, what it holds, and how that grows; all on loopback.

    make bench                              CPU of an event, beside an empty handler
    make bench ARGS="latency"               answers at a fixed rate, also with the store stopped
    make bench ARGS="memory"                resident memory, and how soon it is ready
    make bench ARGS="growth --quick"        the same costs with a long stream
    make bench ARGS="recordings"            a round of the scheduler, and a scheduler at rest
    make bench ARGS="all --write"           everything, and docs/measured.md

Ends with 0 only if every acknowledged event was on the stream exactly once. No time decides that.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from agora_sidecar.cli.embedded import NoServerError
from tests.bench import cost, growth, latency, memory, recordings, report
from tests.bench.say import say
from tests.bench.world import Cores, conditions, others, pin

PARTS: dict[str, ModuleType] = {
    "cost": cost,
    "latency": latency,
    "memory": memory,
    "growth": growth,
    "recordings": recordings,
}
COMMAND = "python -m tests.bench all --write"
LIMIT = 1800.0
"""Seconds after which a measurement is ended, whatever it waits for."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    shape: Any = argparse.RawTextHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=shape
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, part in PARTS.items():
        says = str(part.__doc__)
        one = commands.add_parser(
            name,
            help=says.splitlines()[0],
            description=says,
            epilog=f"Example: {part.EXAMPLE}",
            formatter_class=shape,
        )
        part.arguments(one)
        one.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    says = "Everything in turn, each with its defaults; with --write into docs/measured.md."
    one = commands.add_parser(
        "all", help=says, description=says, epilog=f"Example: {COMMAND}", formatter_class=shape
    )
    one.add_argument("--write", action="store_true", help="docs/measured.md and its picture")
    one.add_argument("--quick", action="store_true", help="everything shorter and smaller")
    one.add_argument(
        "--from",
        dest="known",
        type=Path,
        metavar="FILE",
        help="a report of --json: measure nothing anew",
    )
    one.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    return top


QUICK = {
    "cost": ["--seconds", "1", "--rounds", "1"],
    "latency": ["--seconds", "4"],
    "memory": ["--events", "20000", "--rounds", "2"],
    "growth": ["--quick"],
    "recordings": ["--open", "500", "2000", "--rounds", "3"],
}


async def one(name: str, words: list[str], cores: Cores) -> dict[str, Any]:
    """Measure one part, given its arguments."""
    options = parser().parse_args([name, *words])
    result: dict[str, Any] = await PARTS[name].measure(options, cores)
    return result


async def everything(options: argparse.Namespace, cores: Cores) -> dict[str, Any]:
    """All parts, as one report."""
    if options.known:
        known: dict[str, Any] = json.loads(options.known.read_text())
        if missing := {"conditions", "cost_fsync", *PARTS} - known.keys():
            raise RuntimeError(f"{options.known} is not a report of `all`: no {min(missing)}")
        return known
    command = COMMAND + (" --quick" if options.quick else "")
    result: dict[str, Any] = {"conditions": await conditions(cores) | {"command": command}}
    busy = set(result["conditions"]["busy"])
    for name in PARTS:
        busy.update(others())
        words = QUICK[name] if options.quick else []
        result[name] = await one(name, words, cores)
        if name == "cost":
            result["cost_fsync"] = await one(name, [*words, "--fsync"], cores)
    result["conditions"]["busy"] = sorted(busy | others())
    return result


async def run(options: argparse.Namespace) -> bool:
    """Measure, print, write; whether everything was right."""
    ours = asyncio.current_task()
    assert ours is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ours.cancel)
    cores = Cores.split()
    say(str(cores))
    pin(os.getpid(), cores.others)
    async with asyncio.timeout(LIMIT):
        if options.command == "all":
            result = await everything(options, cores)
            parts = {
                key: PARTS[key.removesuffix("_fsync")] for key in result if key != "conditions"
            }
            text = report.render(result, parts)
            good = all(part.right(result[key]) for key, part in parts.items())
        else:
            part = PARTS[options.command]
            result = await part.measure(options, cores)
            text, good = part.show(result), part.right(result)
    print(text)  # noqa: T201 - a program for people
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    if options.command == "all" and options.write:
        report.write(text, result)
    return good


def main() -> int:
    """0: everything was right; 1: it was not; 2: it could not be measured; 130: interrupted."""
    words = sys.argv[1:]
    if not words or (words[0] not in {*PARTS, "all", "-h", "--help"}):
        words = ["cost", *words]
    options = parser().parse_args(words)
    try:
        return 0 if asyncio.run(run(options)) else 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("interrupted")
        return 130
    except (
        NoServerError,
        OSError,
        RuntimeError,
        ValueError,
        ExceptionGroup,
    ) as error:  # TimeoutError is an OSError
        say(f"error: {str(error) or type(error).__name__}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
