"""The demo and `up`, as a user runs them."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agora_sidecar.agora.signatures import sign
from tests.integration.processes import get, post, sidecar, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

DEMO = (sys.executable, "-m", "agora_sidecar", "demo")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: a Unix socket's path has 107 characters."""
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        yield Path(folder)


def left_over(folder: Path) -> list[str]:
    """Command lines of processes that were started with this temporary folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_a_short_demo_loses_nothing_and_closes_every_recording(place: Path) -> None:
    report = place / "report.json"
    ended = subprocess.run(
        [*DEMO, "--for", "4s", "--seed", "3", "--report", str(report)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR": str(place)},
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    told = json.loads(report.read_text())
    assert told["ok"] is True
    assert told["sent"] > 10
    assert told["answers"]["200"] >= told["stored"] > 10
    assert (told["lost"], told["doubled"], told["altered"], told["foreign"]) == (0, 0, 0, 0)
    assert (
        told["recordings"]["closed"] == told["recordings"]["started"] == told["findings"]["closed"]
    )
    assert told["toldBy"]["query"] >= 1
    assert told["addresses"]["added"] >= 4
    assert told["seconds"] > 4
    assert told["stranger"]["admitted"] == 0
    assert "finding   closed" in ended.stdout
    assert re.search(
        r"look at it: http://127.0.0.1:\d+/ receiver   http://127.0.0.1:\d+/ sched", ended.stdout
    )
    assert "\x1b[" not in ended.stdout  # plain lines in a pipe
    assert left_over(place) == []
    assert [path.name for path in place.iterdir()] == ["report.json"]


async def test_interrupting_the_demo_leaves_nothing_running(place: Path) -> None:
    demo = subprocess.Popen(
        [*DEMO, "--for", "60s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR": str(place)},
    )
    await until(lambda: len(left_over(place)) >= 3, seconds=30)
    await asyncio.sleep(1.0)
    demo.send_signal(signal.SIGINT)
    said, _ = await asyncio.to_thread(demo.communicate, timeout=30)
    assert demo.returncode == 1
    assert "everything that was started has ended" in said
    assert "Traceback" not in said
    assert left_over(place) == []
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("--for", "nonsense"), "--for"), (("--report", "/no/such/place/r.json"), "--report")],
)
def test_a_wrong_option_is_said_and_nothing_starts(arguments: tuple[str, str], says: str) -> None:
    ended = subprocess.run([*DEMO, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


UP = """
[agora]
app_id = "a"
customer_id = "c"
customer_secret = "s"
base_urls = ["http://127.0.0.1:9"]
"""


async def test_up_keeps_its_events_over_a_restart_in_a_store_of_its_own(place: Path) -> None:
    body = json.dumps(
        {"noticeId": "n", "productId": 3, "eventType": 1, "notifyMs": int(time.time() * 1000)}
    ).encode()
    answers = []
    for _ in range(2):
        async with sidecar("up", place, "", more=UP, ready="/readyz") as running:
            assert (await get(running.ports.scheduler_ops, "/livez"))[0] == 200
            answers.append(await post(running.ports.receiver, body, sign(b"secret", body)))
            assert await running.stop() == 0
    assert answers == [(200, "stored"), (200, "duplicate")]
    assert left_over(place / "data") == []
