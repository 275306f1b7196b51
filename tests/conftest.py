"""Fixtures for all: a real store, a fixed now, fresh metrics. In CI a skipped test is a failure."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agora_sidecar.cli.embedded import NoServerError, server_program
from agora_sidecar.store import Redis, connect
from tests.fakes.clock import FakeClock


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for servers comes first: no worker is left with the longest of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def start_store(program: str, folder: Path, *extra: str) -> tuple[subprocess.Popen[bytes], str]:
    """A store process on a Unix socket in `folder`, and its URL."""
    path = folder / "s"
    process = subprocess.Popen(
        [
            *(
                program,
                "--port",
                "0",
                "--unixsocket",
                str(path),
                "--save",
                "",
                "--dir",
                str(folder),
            ),
            *("--maxmemory-policy", "noeviction", "--logfile", str(folder / "log"), *extra),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while not answers(path):
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, "the store did not start"
        time.sleep(0.01)
    return process, f"unix://{path}"


def answers(path: Path) -> bool:
    """Whether somebody accepts at this Unix socket: its file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis or Valkey for the whole run; tests empty it first."""
    try:
        program = server_program()
    except NoServerError as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        process, url = start_store(program, Path(folder))
        yield url
        process.terminate()
        process.wait(10)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the session's store, emptied."""
    client = connect(redis_url)
    await client.flushall()
    yield client
    await client.aclose()
