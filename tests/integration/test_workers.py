"""Several receivers on one host behind one port, as a user starts them."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agora_sidecar.cli.demo.stage import free_ports
from tests.integration.processes import Sidecar, Store, configuration, get, sidecar, until
from tests.integration.test_receiver_process import ALWAYS, ids, notice, send, servers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

WORKERS = 2


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


def started(receiver: Sidecar) -> list[int]:
    return [line["pid"] for line in receiver.said("worker.started")]


async def all_ready(receiver: Sidecar) -> bool:
    ops = receiver.ports.receiver_ops
    found = await asyncio.gather(*(get(ops + n, "/readyz") for n in range(WORKERS)))
    return all(status == 200 for status, _ in found)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z")


async def test_workers_share_the_port_and_one_that_dies_is_started_again(
    store: Store, tmp_path: Path
) -> None:
    workers = f"workers = {WORKERS}"
    async with sidecar("receiver", tmp_path, store.url, receiver=workers) as receiver:
        await until(lambda: all_ready(receiver))
        answers = await asyncio.gather(*(send(receiver, notice(n % 30)) for n in range(60)))
        assert {status for status, _ in answers} == {200}
        assert len(await ids(store)) == 30

        first, other = started(receiver)[:WORKERS]
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(started(receiver)) == WORKERS + 1)
        await until(lambda: all_ready(receiver))
        assert not is_gone(other)
        assert receiver.said("worker.died")
        assert await send(receiver, notice(99)) == (200, "stored")

        pids = started(receiver)
        assert await receiver.stop() == 0
        assert all(is_gone(pid) for pid in pids)


def test_a_stop_that_meets_workers_before_they_listen_is_a_clean_end(tmp_path: Path) -> None:
    config, out = tmp_path / "c.toml", tmp_path / "log"
    config.write_text(configuration(tmp_path, free_ports(), "", receiver=f"workers = {WORKERS}"))
    with (
        out.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "agora_sidecar", "receiver", "--config", str(config)],
            stdout=file,
        ) as process,
    ):
        end = time.monotonic() + 20
        while out.read_bytes().count(b"worker.started") < WORKERS and time.monotonic() < end:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, out.read_text()


@pytest.mark.slow
async def test_workers_end_with_a_supervisor_that_was_killed(store: Store, tmp_path: Path) -> None:
    workers = f"workers = {WORKERS}"
    async with sidecar("receiver", tmp_path, store.url, receiver=workers) as receiver:
        await until(lambda: all_ready(receiver))
        pids = started(receiver)
        receiver.process.kill()
        receiver.process.wait(10)
        await until(lambda: all(is_gone(pid) for pid in pids))


def test_several_workers_in_one_process_are_refused_by_name(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(configuration(tmp_path, free_ports(), "", receiver="workers = 2"))
    environment = os.environ | {
        f"SIDECAR_AGORA__{name}": "x" for name in ("APP_ID", "CUSTOMER_ID", "CUSTOMER_SECRET")
    }
    ended = subprocess.run(
        [sys.executable, "-m", "agora_sidecar", "up", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith("receiver.workers: ")
