"""The shipped rules in a real Prometheus that scrapes real processes, while things really go wrong.

Time is the only thing that is not as shipped: durations of the rules pass so much faster.
"""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agora_sidecar.agora.signatures import sign
from agora_sidecar.cli.demo.stage import Ports, free_ports
from agora_sidecar.emulator.emulator import Emulator
from tests.deploy.test_prometheus import FOLDER, RULES, alerts
from tests.integration.processes import Store, get, post, sidecar, until
from tests.integration.test_receiver_process import ALWAYS, notice, servers
from tests.integration.test_scheduler_process import emulator, more

__all__ = ["emulator"]  # a fixture

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is missing (Debian: prometheus)"
    ),
]

FASTER = 60
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
AGES = {
    "agora_sidecar_spool_oldest_seconds > 300": "agora_sidecar_spool_oldest_seconds > 5",
    "> 15300": "> 5",
    "<= 43200": "<= 9",
    "> 43200": "> 9",
    "<= 86400": "<= 13",
    "> 86400": "> 13",
}
"""Thresholds that are ages of something; counts and shares stay as they are."""
WARNED = """
[[sources]]
name = "ending"
secrets = [{ label = "last", value = "other", not_after = "2099-01-01T00:00:00Z" }]
"""


def faster(rules: str) -> str:
    """The rules with every duration divided; Prometheus knows none below a millisecond."""

    def shorter(found: re.Match[str]) -> str:
        before, number, unit, after = found.groups()
        milliseconds = max(2000, int(number) * SECONDS[unit] * 1000 // FASTER)
        return f"{before}{milliseconds}ms{after}"

    for old, new in AGES.items():
        assert old in rules
        rules = rules.replace(old, new)
    rules = re.sub(r"(\[)(\d+)([smhd])(\])", shorter, rules)
    rules = re.sub(r"(offset )(\d+)([smhd])()", shorter, rules)
    return re.sub(r"(^        for: )\d+[smhd]()$", r"\g<1>1s", rules, flags=re.MULTILINE)


def test_only_time_is_changed() -> None:
    assert len(re.findall(r"alert: ", faster(RULES))) == len(alerts())
    assert "[10m]" not in faster(RULES)
    assert "> 5" in faster(RULES)


@asynccontextmanager
async def prometheus(folder: Path, ports: Ports) -> AsyncIterator[int]:
    """A server with the shipped configuration, but for times and places; its port."""
    port = free_ports().gateway
    (folder / "rules.yaml").write_text(faster(RULES))
    example = (FOLDER / "prometheus.example.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:9101", f"127.0.0.1:{ports.receiver_ops}"),
        ("127.0.0.1:9102", f"127.0.0.1:{ports.scheduler_ops}"),
        ("_interval: 15s", "_interval: 500ms"),
    ):
        assert old in example
        example = example.replace(old, new)
    (folder / "prometheus.yaml").write_text(example)
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yaml",
                f"--storage.tsdb.path={folder}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:

        async def ready() -> bool:
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            return (await get(port, "/-/ready"))[0] == 200

        await until(ready, seconds=60)
        yield port
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


async def firing(port: int) -> set[str]:
    """The alerts that would have told somebody by now."""
    status, text = await get(port, "/api/v1/alerts")
    assert status == 200
    told = json.loads(text)["data"]["alerts"]
    return {one["labels"]["alertname"] for one in told if one["state"] == "firing"}


async def rises(port: int, *names: str) -> None:
    try:
        await until(lambda: _has(port, set(names)), seconds=60)
    except AssertionError:
        _, text = await get(port, "/api/v1/alerts")
        _, rules = await get(port, "/api/v1/rules?type=alert")
        mine = [
            r for g in json.loads(rules)["data"]["groups"] for r in g["rules"] if r["name"] in names
        ]
        pytest.fail(f"only these fire: {text}\n{mine}")


async def falls(port: int, *names: str) -> None:
    async def gone() -> bool:
        return not await firing(port) & set(names)

    await until(gone, seconds=60)


async def _has(port: int, names: set[str]) -> bool:
    return names <= await firing(port)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


async def test_what_really_goes_wrong_raises_its_alert_and_what_is_mended_ends_it(
    store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    settings = more(await emulator.start(), tmp_path) + WARNED
    ports = free_ports()
    async with (
        sidecar("up", tmp_path, store.url, more=settings, ports=ports, ready="/readyz") as up,
        prometheus(tmp_path, ports) as port,
    ):
        numbers = iter(range(100_000))

        async def traffic() -> None:
            while True:
                body = notice(next(numbers))
                await post(ports.receiver, body, sign(b"secret", body))
                await asyncio.sleep(0.2)

        sending = asyncio.create_task(traffic())
        try:
            await until(lambda: _samples(port, "agora_sidecar:acknowledged:rate5m"), seconds=60)
            await falls(port, *alerts())  # nothing rings while all is well

            store.end()
            await rises(port, "AgoraSidecarDependencyAway", "AgoraSidecarSpoolWaits")
            await store.start()
            await falls(port, "AgoraSidecarDependencyAway", "AgoraSidecarSpoolWaits")

            emulator.faults = replace(emulator.faults, addresses="empty")
            await rises(port, "AgoraSidecarListPollMissed")
            await rises(port, "AgoraSidecarListOld")
            await rises(port, "AgoraSidecarListVeryOld")
            emulator.faults = replace(emulator.faults, addresses="normal")
            await falls(port, "AgoraSidecarListVeryOld", "AgoraSidecarListOld")
        finally:
            sending.cancel()
        assert await up.stop() == 0
        await rises(port, "AgoraSidecarReceiverDown", "AgoraSidecarSchedulerDown")


async def _samples(port: int, name: str) -> bool:
    _, text = await get(port, f"/api/v1/query?query={name}")
    return bool(json.loads(text)["data"]["result"])


async def test_a_secret_that_ends_raises_its_alert_until_there_is_another(
    store: Store, tmp_path: Path
) -> None:
    ports = free_ports()
    ending = WARNED.replace("2099", "2020")
    async with (
        sidecar("receiver", tmp_path, store.url, more=ending, ports=ports) as receiver,
        prometheus(tmp_path, ports) as port,
    ):
        await rises(port, "AgoraSidecarSecretEnds")
        file = receiver.out.with_suffix(".toml")
        file.write_text(file.read_text().replace("2020-01-01T00:00:00Z", ""))
        receiver.process.send_signal(1)
        await falls(port, "AgoraSidecarSecretEnds")
