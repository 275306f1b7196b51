"""Processes as they are deployed: started from a configuration, looked at from outside, always ended."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from agora_sidecar.cli.demo.stage import Ports, free_ports
from agora_sidecar.store import StoreError, connect, store_errors

SECRET = "secret"
PATIENCE = 20.0
"""Seconds that a condition may take on a busy machine."""


async def until(condition: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """The condition's value, as soon as it is true; plain and awaitable conditions alike."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        value = await value if asyncio.iscoroutine(value) else value
        if value:
            return value
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.02)


class Store:
    """A real server on a Unix socket that can be killed, stopped and started again."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self.program = program
        self.folder = folder
        self.options = options
        self.first: tuple[str, ...] = ()
        """Arguments before all others: a configuration file."""
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/s"

    async def start(self) -> None:
        (self.folder / "s").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                *(self.program, *self.first, "--port", "0", "--unixsocket", str(self.folder / "s")),
                *("--save", "", "--dir", str(self.folder), "--logfile", str(self.folder / "log")),
                *("--maxmemory-policy", "noeviction", *self.options),
            ],
            stdin=subprocess.DEVNULL,
        )
        await until(self.answers)

    async def answers(self) -> bool:
        client = connect(self.url, timeout=1.0)
        try:
            with suppress(StoreError), store_errors():
                return bool(await client.ping())
        finally:
            await client.aclose()
        return False

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait(10)

    async def entries(self) -> list[dict[bytes, bytes]]:
        client = connect(self.url)
        try:
            found: list[dict[bytes, bytes]] = []
            after = b"-"
            while page := await client.xrange("{ncs}:events", after, count=10_000):
                found += [fields for _, fields in page]
                after = b"(" + page[-1][0]
            return found
        finally:
            await client.aclose()

    async def do(self, *command: str) -> Any:
        client = connect(self.url)
        try:
            execute: Any = client.execute_command
            return await execute(*command)
        finally:
            await client.aclose()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)


@dataclass
class Sidecar:
    """One running process of ours."""

    process: subprocess.Popen[bytes]
    ports: Ports
    out: Path

    @property
    def logs(self) -> list[dict[str, Any]]:
        lines = self.out.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.logs if line["event"] == event]

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 20)


def configuration(
    folder: Path, ports: Ports, redis_url: str, more: str = "", *, receiver: str = ""
) -> str:
    redis = f'[redis]\nurl = "{redis_url}"' if redis_url else ""
    return f"""
data_dir = "{folder}/data"
{redis}
[[sources]]
name = "default"
secrets = [{{ label = "old", value = "before" }}, {{ label = "new", value = "{SECRET}" }}]
[receiver]
listen = "127.0.0.1:{ports.receiver}"
ops_listen = "127.0.0.1:{ports.receiver_ops}"
ack_deadline = "2s"
hedge_after = "1s"
{receiver}
[scheduler]
ops_listen = "127.0.0.1:{ports.scheduler_ops}"
[gateway]
listen = "127.0.0.1:{ports.gateway}"
{more}
"""


@asynccontextmanager
async def sidecar(
    name: str,
    folder: Path,
    redis_url: str,
    *,
    more: str = "",
    receiver: str = "",
    ready: str = "/livez",
    ports: Ports | None = None,
) -> AsyncIterator[Sidecar]:
    """Run `agora-sidecar NAME` until the block ends; entered when `ready` answers 200."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = ports or _free_ports()
    config = folder / f"{name}.toml"
    config.write_text(configuration(folder, ports, redis_url, more, receiver=receiver))
    out = folder / f"{name}.log"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "agora_sidecar", name, "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    running = Sidecar(process, ports, out)
    ops = ports.scheduler_ops if name == "scheduler" else ports.receiver_ops
    try:

        async def up() -> bool:
            assert process.poll() is None, out.read_text()
            return (await get(ops, ready))[0] == 200

        await until(up)
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def _free_ports() -> Ports:
    """With a free one behind the receiver's ops port, for a second worker."""
    while True:
        ports = free_ports()
        with socket.socket() as second, suppress(OSError):
            second.bind(("127.0.0.1", ports.receiver_ops + 1))
            return ports


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and text; 0 where nobody listens."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as response,
        ):
            return response.status, await response.text()
    except aiohttp.ClientError:
        return 0, ""


async def post(port: int, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Status and the answer's `status`; 0 where nobody listens."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{port}/ncs", data=body, headers=headers) as response,
        ):
            return response.status, (await response.json())["status"]
    except aiohttp.ClientError:
        return 0, ""
