"""What one acknowledged event costs the receiver, beside an empty aiohttp handler, in one run.

Each server in turn gets the same signed, unique notifications over 64 connections; what counts is the
CPU time (user and system, all threads) of the server's process for each 200. Wall-clock figures of a
shared machine are noise: compare the ratio. Every 200 is looked for on the stream.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from agora_sidecar.cli.demo.stage import free_ports
from tests.bench.given import amount, count
from tests.bench.load import closed_loop
from tests.bench.notices import requests
from tests.bench.say import say, table
from tests.bench.world import (
    STREAM,
    Cores,
    a_receiver,
    a_store,
    cpu,
    pin,
    ready_after,
    scratch,
    server,
)

EXAMPLE = "python -m tests.bench cost --seconds 3 --rounds 3 --fsync"
CONNECTIONS = 64
EMPTY = """
import sys
import uvloop
from aiohttp import web
async def handle(request):
    await request.read()
    return web.Response(body=b'{"status":"stored"}', content_type="application/json")
app = web.Application()
app.router.add_post("/ncs", handle)
app.router.add_get("/readyz", handle)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None,
            loop=uvloop.new_event_loop())
"""
WRK = """
local requests, at = {}, 0
function init(args)
  local file = io.open(os.getenv("BENCH_REQUESTS"), "rb")
  while true do
    local length = file:read("*n", "*l")
    if not length then break end
    requests[#requests + 1] = file:read(length)
    file:read("*l")
  end
end
function request()
  at = at + 1
  return requests[(at - 1) % #requests + 1]
end
function done(summary, latency, _)
  local errors = summary.errors
  local bad = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('RESULT [%d,%d,%d]', summary.requests, bad, summary.duration))
end
"""


@dataclass(frozen=True, slots=True)
class Round:
    """One server's round: CPU microseconds for each 200, 200s a second, whether the stream is right."""

    cpu_us: float
    per_second: float
    exact: bool


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `cost` takes."""
    parser.add_argument("--seconds", type=amount, default=3.0, help="a round (3)")
    parser.add_argument("--rounds", type=count, default=3, help="of each server (3)")
    parser.add_argument("--fsync", action="store_true", help="the store forces each write to disk")
    parser.add_argument("--seed", type=int, default=1, help="of the notifications (1)")
    parser.add_argument(
        "--no-wrk", action="store_true", help="send from Python even if wrk is there"
    )


async def measure(options: argparse.Namespace, cores: Cores) -> dict[str, Any]:
    """Both servers in turn, several times."""
    run, number_of = f"{options.seed & 0xFFFFFFFF:08x}", int(options.seconds * 40_000)
    made = list(requests(run, range(number_of)))
    wrk = None if options.no_wrk else shutil.which("wrk")
    rounds: dict[str, list[Round]] = {"empty": [], "receiver": []}
    for number in range(options.rounds):
        for name, found in rounds.items():
            say(f"cost: round {number + 1} of {options.rounds}: {name} …")
            found.append(
                await _round(
                    name, made, wrk=wrk, seconds=options.seconds, fsync=options.fsync, cores=cores
                )
            )
    floor = median(r.cpu_us for r in rounds["empty"])
    rows = {
        name: {
            "cpu_us": median(r.cpu_us for r in found),
            "ratio": median(r.cpu_us for r in found) / floor,
            "per_second": median(r.per_second for r in found),
            "exact": all(r.exact for r in found),
        }
        for name, found in rounds.items()
    }
    return {"fsync": options.fsync, "load": "wrk" if wrk else "Python", "servers": rows}


async def _round(
    name: str, made: Sequence[bytes], *, wrk: str | None, seconds: float, fsync: bool, cores: Cores
) -> Round:
    with scratch() as folder:
        async with a_store(folder, fsync=fsync) as store:
            durability = "disk" if fsync else "memory"
            async with _server(
                name, folder, store.url, durability=durability, cores=cores
            ) as found:
                pid, port = found
                before = cpu(pid)
                if wrk:
                    good, took = await _wrk(wrk, folder, port, made, seconds=seconds)
                else:
                    good, took = await closed_loop(
                        port, made, connections=CONNECTIONS, seconds=seconds
                    )
                spent = cpu(pid) - before
            stored = await store.do("XLEN", STREAM)
    # what was under way when wrk stopped may be stored without having been counted
    most = good + (CONNECTIONS if wrk else 0)
    return Round(spent / good * 1e6, good / took, name == "empty" or good <= stored <= most)


@asynccontextmanager
async def _server(
    name: str, folder: Path, url: str, *, durability: str, cores: Cores
) -> AsyncIterator[tuple[int, int]]:
    """Process id and port."""
    if name == "receiver":
        async with a_receiver(folder, url, cores=cores, durability=durability) as receiver:
            yield receiver.pid, receiver.port
        return
    port = free_ports().receiver
    command = [sys.executable, "-c", EMPTY, str(port)]
    with server(command, cores=cores, log=folder / "empty.log") as process:
        await ready_after(process, port, began=time.monotonic())
        pin(process.pid, cores.receiver)
        yield process.pid, port


async def _wrk(
    program: str, folder: Path, port: int, made: Sequence[bytes], *, seconds: float
) -> tuple[int, float]:
    """200s, and the seconds they took."""
    file, script = folder / "requests", folder / "load.lua"
    file.write_bytes(b"".join(b"%d\n%s\n" % (len(one), one) for one in made))
    script.write_text(WRK)
    process = await asyncio.create_subprocess_exec(
        *(program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"),
        *("-s", str(script), f"http://127.0.0.1:{port}/ncs"),
        env=os.environ | {"BENCH_REQUESTS": str(file)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds + 30):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    total, bad, micros = json.loads(out.decode().partition("RESULT ")[2])
    return total - bad, micros / 1e6


def right(result: dict[str, Any]) -> bool:
    """Whether every 200 is on the stream, once."""
    return all(row["exact"] for row in result["servers"].values())


def show(result: dict[str, Any]) -> str:
    """A table."""
    return table(
        ["server", "CPU µs an event", "× empty", "200s a second", "exactly once"],
        [
            [
                "empty aiohttp handler" if name == "empty" else "receiver",
                f"{row['cpu_us']:.1f}",
                f"{row['ratio']:.2f}",
                f"{row['per_second']:.0f}",
                "" if name == "empty" else "yes" if row["exact"] else "NO",
            ]
            for name, row in result["servers"].items()
        ],
    )
