"""A million requests as nobody should send them, against a receiver as it is deployed.

    python -m tests.fuzz --requests 1000000 --seed 1

Checked: every answer is one of the documented ones, none is a 5xx (the store is well); no
traceback; no growth of memory; good requests are answered all along; each accepted notice is on
the stream once. Ends with 1 where anything is wrong, and names the batch: a seed and a number make
it again.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agora_sidecar.agora.signatures import sign
from tests.fuzz.mutate import NOTICE, SECRET, broken, framed
from tests.integration.processes import Sidecar, Store, sidecar
from tests.integration.test_receiver_process import servers

BATCH = 50
"""Requests that follow each other on one connection."""
CONNECTIONS = 8
BROKEN = 0.1
"""Part of all requests that has a connection of its own."""
ALLOWED = {200, 400, 401, 403, 404, 405, 408, 413, 415, 417}
WORDS = {"stored", "duplicate", "check", "quarantined", "refused"}
GROWTH = 8.0
"""MiB by which the resident memory may grow after the first tenth."""
PATIENCE = 20.0
MOMENT = 0.1
"""Seconds for an answer to what is broken."""


@dataclass
class Tally:
    """What came back."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    done: int = 0


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """One answer's status and word; 0 where the connection ended."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status == 100:
        return await read_answer(reader)
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    content = await reader.readexactly(length)
    return status, json.loads(content)["status"]


async def pipelined(port: int, requests: list[bytes], tally: Tally, name: str) -> None:
    """All on one connection; where it is closed behind an answer, the rest on another."""
    while requests:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        try:
            writer.write(b"".join(requests))
            for request in requests:
                if request.startswith(b"HEAD"):
                    await reader.readuntil(b"\r\n\r\n")
                else:
                    note(tally, *await read_answer(reader), f"{name}+{count}")
                count += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
        tally.done += max(1, count)
        requests = requests[max(1, count) :]


async def alone(port: int, request: bytes, tally: Tally, name: str) -> None:
    """One on its own connection: whatever is answered at once; most are not, and wait for more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        rest = await _what_comes(reader)
        for part in rest.split(b"HTTP/1.")[1:]:
            status = int(part.split(b" ", 2)[1])
            tally.answers[f"broken {status}"] += 1
            if status not in ALLOWED | {100}:
                tally.wrong.append(f"{name}: {status}")
            if status == 200 and b'"stored"' in part:
                tally.answers["stored alone"] += 1
    except ConnectionError:
        tally.answers["broken reset"] += 1
    finally:
        tally.done += 1
        writer.close()


async def _what_comes(reader: asyncio.StreamReader) -> bytes:
    found = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(MOMENT):
            while part := await reader.read(65536):
                found += part
    return found


def note(tally: Tally, status: int, word: str, name: str) -> None:
    tally.answers[f"{status} {word}"] += 1
    if status not in ALLOWED or word not in WORDS:
        tally.wrong.append(f"{name}: {status} {word}")


async def worker(port: int, seed: int, first: int, count: int, tally: Tally) -> None:
    """`count` requests from number `first` on."""
    for start in range(first, first + count, BATCH):
        chance = random.Random(f"{seed}:{start}")
        name = f"seed {seed}, number {start}"
        numbers = range(start, min(start + BATCH, first + count))
        apart = [n for n in numbers if chance.random() < BROKEN]
        together = [framed(chance, n) for n in numbers if n not in apart]
        try:
            async with asyncio.timeout(PATIENCE):
                await pipelined(port, together, tally, name)
                requests = [broken(chance, number) for number in apart]
                await asyncio.gather(*(alone(port, one, tally, name) for one in requests))
                note_good(tally, await good(port, start), name)
        except TimeoutError:
            tally.wrong.append(f"{name}: no end within {PATIENCE:g} s")


async def good(port: int, number: int) -> tuple[int, str]:
    """A request as the vendor sends it."""
    content = json.dumps(NOTICE | {"noticeId": f"good-{number}"}).encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in sign(SECRET, content).items())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"POST /ncs HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        return await read_answer(reader)
    finally:
        writer.close()


def note_good(tally: Tally, answer: tuple[int, str], name: str) -> None:
    tally.answers["good"] += 1
    if answer != (200, "stored"):
        tally.wrong.append(f"{name}: a good request was answered {answer}")


async def run(requests: int, seed: int, *, quiet: bool = False) -> tuple[Tally, list[str]]:
    """All of it; the tally, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder) / "r")
        await store.start()
        settings = 'durability = "memory"'
        more = '[logging]\nlevel = "error"'
        try:
            async with sidecar(
                "receiver", Path(folder), store.url, more=more, receiver=settings, ready="/readyz"
            ) as receiver:
                return await _attack(receiver, store, requests, seed=seed, quiet=quiet)
        finally:
            store.end()


async def _attack(
    receiver: Sidecar, store: Store, requests: int, *, seed: int, quiet: bool
) -> tuple[Tally, list[str]]:
    tally, port = Tally(), receiver.ports.receiver
    warm = max(BATCH * CONNECTIONS, requests // 10)
    telling = asyncio.create_task(_tell(tally, requests, quiet=quiet))
    await _spread(port, seed, (0, warm), tally)
    before = _resident(receiver)
    await _spread(port, seed, (warm, requests), tally)
    after = _resident(receiver)
    telling.cancel()
    wrong = tally.wrong
    if after - before > GROWTH:
        wrong.append(f"memory grew from {before:.1f} to {after:.1f} MiB")
    if receiver.process.poll() is not None:
        wrong.append("the receiver has ended")
    said = receiver.out.read_text()
    if "Traceback" in said or '"exception"' in said:
        wrong.append("a traceback: " + said[said.find("Traceback") :][:500])
    stored = tally.answers["200 stored"] + tally.answers["good"] + tally.answers["stored alone"]
    entries = await store.do("XLEN", "{ncs}:events")
    # an answer may be lost with its connection; an entry may not be there twice
    named = [entry[b"id"] + entry[b"source"] for entry in await store.entries()]
    if len(set(named)) != entries:
        wrong.append(f"{entries - len(set(named))} notices are on the stream twice")
    if entries < stored:
        wrong.append(f"{stored} were acknowledged, {entries} are on the stream")
    tally.answers["MiB before"], tally.answers["MiB after"] = int(before), int(after)
    return tally, wrong


async def _spread(port: int, seed: int, span: tuple[int, int], tally: Tally) -> None:
    first, last = span
    share = -(-(last - first) // CONNECTIONS // BATCH) * BATCH or BATCH
    async with asyncio.TaskGroup() as group:
        for start in range(first, last, share):
            group.create_task(worker(port, seed, start, min(share, last - start), tally))


async def _tell(tally: Tally, requests: int, *, quiet: bool) -> None:
    began = time.monotonic()
    while not quiet:
        await asyncio.sleep(5)
        pace = tally.done / (time.monotonic() - began)
        say(f"{tally.done} of {requests}, {pace:.0f}/s, wrong: {len(tally.wrong)}")


def _resident(receiver: Sidecar) -> float:
    status = Path(f"/proc/{receiver.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally, wrong = asyncio.run(run(options.requests, options.seed))
    for answer, count in sorted(tally.answers.items()):
        say(f"{count:>9}  {answer}")
    for line in wrong[:20]:
        say(f"WRONG  {line}")
    say(f"{tally.done} requests: {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
