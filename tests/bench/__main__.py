# ruff: noqa: T201, S310 - a program for people, on loopback
"""What one acknowledged event costs the receiver, beside an empty aiohttp handler, in one run.

    make bench ARGS="--seconds 3 --rounds 3 --fsync"

Each server in turn gets the same signed, unique notifications over 64 connections; what counts is the
CPU time (user and system, all threads) of the server's process for each 200. Wall-clock figures of a
shared machine are noise: compare the ratio. Every 200 is looked for on the stream.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from agora_sidecar.agora.signatures import sign
from agora_sidecar.cli.demo.stage import free_ports
from agora_sidecar.cli.embedded import EmbeddedStore
from agora_sidecar.store import connect

SECRET = "bench"
CONNECTIONS = 64
TICK = os.sysconf("SC_CLK_TCK")
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


@dataclass(frozen=True)
class Round:
    """One server's round: CPU microseconds for each 200, 200s a second, whether the stream is right."""

    cpu_us: float
    per_second: float
    exact: bool


def request_for(number: int, rng: random.Random) -> bytes:
    now = int(time.time() * 1000)
    body = json.dumps(
        {
            "noticeId": f"{rng.getrandbits(128):032x}",
            "productId": 3,
            "eventType": 42,
            "notifyMs": now,
            "payload": {
                "cname": f"room-{number % 500}",
                "uid": "527841",
                "sid": f"{rng.getrandbits(128):032x}",
                "sequence": number % 20,
                "sendts": now - 30,
                "serviceType": 1,
                "details": {"msgName": "recorder_slice_start", "streamUid": "0"},
            },
        }
    ).encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in sign(SECRET.encode(), body).items())
    head = f"POST /ncs HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


async def drive(port: int, requests: list[bytes], seconds: float) -> tuple[int, float]:
    """200s, and the seconds they took."""
    left, good = iter(requests), 0
    end = time.monotonic() + seconds

    async def one_connection() -> None:
        nonlocal good
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in left:
            if time.monotonic() > end:
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            good += head.startswith(b"HTTP/1.1 200")
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    return good, time.monotonic() - began


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def ready(url: str) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(lambda: urllib.request.urlopen(url).close())
                return
            await asyncio.sleep(0.05)


async def one_round(name: str, requests: list[bytes], *, seconds: float, fsync: bool) -> Round:
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="as-bench-") as folder:
        store = EmbeddedStore(Path(folder) / "store", fsync=fsync)
        url = await store.start()
        command, probe = [sys.executable, "-c", EMPTY, str(ports.receiver)], ports.receiver
        if name == "receiver":
            config = Path(folder) / "sidecar.toml"
            config.write_text(
                f'data_dir = "{folder}"\n[redis]\nurl = "{url}"\n[receiver]\n'
                f'listen = "127.0.0.1:{ports.receiver}"\n'
                f'ops_listen = "127.0.0.1:{ports.receiver_ops}"\nsecret = "{SECRET}"\n'
                f'durability = "{"disk" if fsync else "memory"}"\n[logging]\nlevel = "error"\n'
            )
            command = [sys.executable, "-m", "agora_sidecar", "receiver", "--config", str(config)]
            probe = ports.receiver_ops
        server = subprocess.Popen(command)
        try:
            await ready(f"http://127.0.0.1:{probe}/readyz")
            before = cpu(server.pid)
            good, took = await drive(ports.receiver, requests, seconds)
            spent = cpu(server.pid) - before
            client = connect(url)
            stored = await client.xlen("{ncs}:events")
            await client.aclose()
        finally:
            server.terminate()
            server.wait(10)
            await store.stop()
    return Round(spent / good * 1e6, good / took, name == "empty" or stored == good)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fsync", action="store_true", help="the store forces each write to disk")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    requests = [request_for(number, rng) for number in range(int(options.seconds * 12_000))]
    rounds: dict[str, list[Round]] = {"empty": [], "receiver": []}
    for number in range(options.rounds):
        for name, results in rounds.items():
            print(f"round {number + 1} of {options.rounds}: {name} …", file=sys.stderr)
            results.append(
                asyncio.run(one_round(name, requests, seconds=options.seconds, fsync=options.fsync))
            )
    floor = statistics.median(r.cpu_us for r in rounds["empty"])
    print(f"{'server':<10}{'CPU us/event':>14}{'x empty':>9}{'200s/s':>9}  exactly once")
    for name, results in rounds.items():
        cost = statistics.median(r.cpu_us for r in results)
        rate = statistics.median(r.per_second for r in results)
        exact = "yes" if all(r.exact for r in results) else "NO"
        print(f"{name:<10}{cost:>14.1f}{cost / floor:>9.2f}{rate:>9.0f}  {exact}")
    sys.exit(0 if all(r.exact for results in rounds.values() for r in results) else 1)


if __name__ == "__main__":
    main()
