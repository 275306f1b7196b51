import asyncio
import json
import math
import tempfile
from collections.abc import AsyncIterator, Iterable
from ipaddress import ip_address
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agora_sidecar.cli.app import application
from agora_sidecar.cli.findings import (
    Finding,
    of_abandoned,
    of_certificate,
    of_clock,
    of_disk,
    of_list,
    of_secrets,
    of_store,
    of_targets,
    of_waiting,
)
from agora_sidecar.settings import SourceSettings
from agora_sidecar.store import Durability
from receiver.spool.journal import Facts
from scheduler.allowlist.plan import Plan
from scheduler.allowlist.report import Outcome
from tests.cli.test_spool import spooled
from tests.integration.processes import Store
from tests.integration.test_receiver_process import ALWAYS, servers

NOW = 1_700_000_000.0
DAY = 86_400.0


def kinds(found: Iterable[Finding]) -> list[str]:
    return [finding.kind for finding in found if finding.kind != "ok"]


@pytest.mark.parametrize(
    ("level", "asked", "expected"),
    [
        ("redis-fsync", "disk", []),
        ("redis-fsync", "memory", []),
        ("redis-memory", "disk", ["warning"]),
        ("redis-memory", "memory", ["problem"]),
    ],
)
def test_a_store_is_judged_by_what_was_asked(level: str, asked: str, expected: list[str]) -> None:
    assert kinds(of_store(Durability(level, "why", {}), asked=asked)) == expected


def test_a_store_that_evicts_or_is_nearly_full_is_a_problem() -> None:
    facts = {"used_memory": "90", "maxmemory": "100"}
    found = Durability("redis-fsync", "", facts, warnings=("it evicts",))
    assert kinds(of_store(found, asked="disk")) == ["problem", "problem"]
    roomy = Durability("redis-fsync", "", facts | {"used_memory": "10"})
    assert kinds(of_store(roomy, asked="disk")) == []


def test_streams_of_another_number_of_shards_are_said() -> None:
    (finding,) = of_abandoned(["{ncs:0}:events"])
    assert (finding.kind, "{ncs:0}:events" in finding.line()) == ("warning", True)
    assert kinds(of_abandoned([])) == []


@pytest.mark.parametrize(("store", "expected"), [(NOW, []), (NOW - 60, ["warning"]), (None, [])])
def test_clocks_that_differ_are_said(store: float | None, expected: list[str]) -> None:
    assert kinds(of_clock(store, now=NOW)) == expected


def test_a_disk_without_room_is_said() -> None:
    assert kinds(of_disk(5, limit=10, folder="x")) == ["warning"]
    assert kinds(of_disk(10, limit=10, folder="x")) == []


@pytest.mark.parametrize(
    ("waiting", "age", "expected"), [(0, 0, []), (1, 10, ["warning"]), (1, 1000, ["problem"])]
)
def test_what_waits_long_is_a_problem(waiting: int, age: float, expected: list[str]) -> None:
    facts = Facts(waiting, 0, int((NOW - age) * 1000), 0)
    assert kinds(of_waiting(facts, held=False, name="f", now=NOW)) == expected


@pytest.mark.parametrize(
    ("until", "expected"),
    [("", []), ("2023-11-20T00:00:00Z", ["warning"]), ("2023-11-01T00:00:00Z", ["problem"])],
)
def test_secrets_that_end_are_said(until: str, expected: list[str]) -> None:
    secret = {"label": "a", "value": "b", "not_after": until}
    source = SourceSettings.model_validate({"name": "main", "secrets": [secret]})
    assert kinds(of_secrets([source], now=NOW)) == expected


@pytest.mark.parametrize(
    ("left", "kind"),
    [(30 * DAY, "ok"), (3 * DAY, "warning"), (-1.0, "problem"), (math.nan, "ok")],
)
def test_a_certificate_that_ends_is_said(left: float, kind: str) -> None:
    assert of_certificate(left).kind == kind


def test_targets_and_the_age_of_the_list_are_judged() -> None:
    def plan(*add: str) -> Plan:
        added = tuple(ip_address(address) for address in add)
        return Plan("t", add=added, retire=(), restore=(), remove=(), reshape="")

    empty, change = plan(), plan("192.0.2.1")
    outcomes = [Outcome("a", empty), Outcome("b", change), Outcome("c", None, "no right")]
    assert [finding.kind for finding in of_targets(outcomes)] == ["ok", "problem", "problem"]
    ages = {None: "warning", 60.0: "ok", 4 * 3600.0: "problem"}
    for age, kind in ages.items():
        (finding,) = of_list({"ageSeconds": age}, interval=7200.0)
        assert finding.kind == kind


def run(folder: Path, url: str, *more: str, **settings: str) -> Result:
    environment = {
        "SIDECAR_DATA_DIR": str(folder),
        "SIDECAR_REDIS__URL": url,
        "SIDECAR_RECEIVER__SECRET": "s",
    }
    return CliRunner().invoke(application(), ["doctor", *more], env=environment | settings)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


def test_an_absent_store_is_a_problem_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    spooled(tmp_path, "a")
    result = run(tmp_path, f"unix://{tmp_path}/none")
    assert result.exit_code == 3
    assert "problem redis: unreachable" in result.stdout
    assert "1 events wait in spool-0.db" in result.stdout
    assert "Traceback" not in result.output


async def test_a_good_machine_is_all_well(tmp_path: Path, store: Store) -> None:
    result = await _in_thread(tmp_path, store.url, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0, result.stdout
    assert {finding["about"] for finding in found} >= {"redis", "durability", "clock", "secrets"}


async def test_an_account_that_does_not_answer_is_a_problem(tmp_path: Path, store: Store) -> None:
    settings = {
        "SIDECAR_AGORA__APP_ID": "a",
        "SIDECAR_AGORA__CUSTOMER_ID": "b",
        "SIDECAR_AGORA__CUSTOMER_SECRET": "c",
        "SIDECAR_AGORA__BASE_URLS": '["http://127.0.0.1:1"]',
    }
    result = await _in_thread(tmp_path, store.url, "--for", "scheduler", **settings)
    assert result.exit_code == 3
    assert "problem account: the address list cannot be had" in result.stdout
    assert "agora." not in result.stderr  # log lines of level debug
    assert "spool" not in result.stdout


async def test_each_target_says_what_is_wrong_around_it(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    folder.chmod(0o777)
    targets = [
        {"kind": "file", "path": f"{folder}/allow.conf"},
        {"kind": "aws-prefix-list", "ipv4": "pl-0123456789abcdef0", "region": "eu-central-1"},
    ]
    settings = {
        "SIDECAR_AGORA__APP_ID": "a",
        "SIDECAR_AGORA__CUSTOMER_ID": "b",
        "SIDECAR_AGORA__CUSTOMER_SECRET": "c",
        "SIDECAR_AGORA__BASE_URLS": '["http://127.0.0.1:1"]',
        "SIDECAR_ALLOWLIST__TARGETS": json.dumps(targets),
        "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_MAX_ATTEMPTS": "1",
    }
    result = await _in_thread(tmp_path, store.url, "--for", "scheduler", **settings)
    assert result.exit_code == 3
    assert f"file:{folder}/allow.conf: {folder} can be written by everybody. Take" in result.stdout
    assert "aws-prefix-list:pl-0123456789abcdef0: EndpointConnectionError" in result.stdout
    assert "Traceback" not in result.output


async def test_what_cannot_be_used_is_one_line_each(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file").write_text("")
    settings = {
        "SIDECAR_RECEIVER__TLS_CERTIFICATE": str(tmp_path / "none.pem"),
        "SIDECAR_RECEIVER__TLS_KEY": str(tmp_path / "none.key"),
    }
    result = await _in_thread(tmp_path / "file", store.url, **settings)
    assert result.exit_code == 3
    assert "problem spool:" in result.stdout
    assert "problem tls: receiver.tls_certificate" in result.stdout


async def _in_thread(folder: Path, url: str, *more: str, **settings: str) -> Result:
    return await asyncio.to_thread(run, folder, url, *more, **settings)
