"""Starts and ends what the demo shows: the store, the receiver and the scheduler as deployed."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from agora_sidecar.cli.children import ends_with_us
from agora_sidecar.emulator.options import EmulatorOptions

START_TIMEOUT = 20.0
"""Seconds for a process to be ready; a busy machine needs some to import."""
STOP_TIMEOUT = 10.0

LISTED = tuple(f"203.0.113.{number}" for number in range(10, 26))
"""Where the pretended vendor sends from in a network of our own; reserved for examples."""
LOOPBACK = tuple(f"127.0.113.{number}" for number in range(10, 26))
"""The same where there is no network of our own."""
STRANGER = "203.0.113.200"
"""Somebody who is never on the list."""


NFTABLES = """
[[allowlist.targets]]
kind = "nftables"
port = {ports.receiver}
mode = "enforce"
"""
TEMPLATE = """
data_dir = "{folder}/data"
[redis]
url = "{redis_url}"
[receiver]
listen = "127.0.0.1:{ports.receiver}"
ops_listen = "127.0.0.1:{ports.receiver_ops}"
[[sources]]
name = "default"
secrets = [{{ label = "demo", value = "{account.secret}" }}]
[agora]
app_id = "{account.app_id}"
customer_id = "{account.customer_id}"
customer_secret = "{account.customer_secret}"
base_urls = ["{api_url}"]
requests_per_second = 20
[allowlist]
poll_interval = "1s"
grace = "5s"
reserved = "accept"
[[allowlist.targets]]
kind = "file"
path = "{folder}/allow.conf"
format = "nginx"
{nftables}
[gateway]
listen = "127.0.0.1:{ports.gateway}"
[recordings]
silence = "2s"
confirm_after = "500ms"
end_after_404 = "2s"
upload_wait = "5s"
[scheduler]
ops_listen = "127.0.0.1:{ports.scheduler_ops}"
"""


class StageError(Exception):
    """A process of the demo did not start; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports that were free a moment ago."""

    receiver: int
    receiver_ops: int
    scheduler_ops: int
    gateway: int


def free_ports() -> Ports:
    """Four different ones."""
    sockets = [socket.socket() for _ in range(4)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return Ports(*(one.getsockname()[1] for one in sockets))
    finally:
        for one in sockets:
            one.close()


def processes(ports: Ports) -> dict[str, int]:
    """The processes in the order they start, and their ops ports."""
    return {"receiver": ports.receiver_ops, "scheduler": ports.scheduler_ops}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the generated configuration depends on."""

    folder: Path
    ports: Ports
    redis_url: str
    api_url: str
    account: EmulatorOptions
    nftables: bool


def configuration(setting: Setting) -> str:
    """The TOML that both processes read: the defaults, with a faster clock."""
    return TEMPLATE.format(
        folder=setting.folder,
        ports=setting.ports,
        redis_url=setting.redis_url,
        api_url=setting.api_url,
        account=setting.account,
        nftables=NFTABLES.format(ports=setting.ports) if setting.nftables else "",
    )


@asynccontextmanager
async def process(name: str, *, config: Path, ops_port: int) -> AsyncIterator[None]:
    """Run `agora-sidecar NAME` until the block ends; its log goes beside the configuration.

    Raises:
        StageError: it ended, or was not ready in time.
    """
    log = config.parent / f"{name}.log"
    with log.open("wb") as out:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agora_sidecar", name, "--config", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            # Ctrl-C in a terminal is for us alone: we end them in order
            start_new_session=True,
            preexec_fn=ends_with_us,
        )
    try:
        await _ready(name, child, ops_port=ops_port, log=log)
        yield
    finally:
        await _end(child)


async def _ready(name: str, child: asyncio.subprocess.Process, *, ops_port: int, log: Path) -> None:
    url = f"http://127.0.0.1:{ops_port}/readyz"
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT), httpx.AsyncClient() as client:
            while child.returncode is None:
                with suppress(httpx.HTTPError):
                    if (await client.get(url)).status_code == 200:
                        return
                await asyncio.sleep(0.05)
    text = await asyncio.to_thread(log.read_text, errors="replace")
    words = " / ".join(text.splitlines()[-3:])
    raise StageError(f"the {name} did not become ready: {words or 'it said nothing'}")


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
