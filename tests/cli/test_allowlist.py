"""The commands over the list that a scheduler would have left behind, and a real file."""

import asyncio
import json
import threading
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from agora_sidecar.cli import allowlist_work
from agora_sidecar.cli.allowlist import app
from agora_sidecar.process.clock import SystemClock
from scheduler.allowlist.mailbox import Answer, FolderLock, Mailbox
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.sightings import Sightings
from scheduler.allowlist.targets.file import FileTarget
from tests.fakes.address_list import AddressList
from tests.fakes.syncs import rules, sync_of

A, B, GONE = "101.36.1.1", "101.36.1.2", "101.36.1.3"


class Machine:
    """One with a configuration; `poll` is what its scheduler does."""

    def __init__(self, folder: Path) -> None:
        self.list = folder / "allow.conf"
        self.data = folder / "data"
        self.config = folder / "sidecar.toml"
        self.config.write_text(
            f"""
data_dir = "{self.data}"
[allowlist]
also_allow = ["probe = 9.9.9.9"]
[[allowlist.targets]]
kind = "file"
path = "{self.list}"
"""
        )

    def poll(self, *addresses: str, times: int = 1) -> None:
        sync = sync_of(
            self.data / "allowlist",
            AddressList(*addresses),
            FileTarget(self.list, form="plain"),
            rules=rules(grace=600.0, max_entries=64),
        )

        async def work() -> None:
            for _ in range(times):
                await sync.run_once()

        asyncio.run(work())

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(self.config)])

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path)
    found.poll(A, B, GONE)
    found.poll(A, B, times=3)
    return found


def test_status_shows_each_address_and_how_each_target_stands(machine: Machine) -> None:
    result = machine.run("status")

    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    assert first.startswith("revision 2, last good poll ")
    words = [" ".join(line.split()) for line in rest]
    assert words[:2] == [f"{A} active", f"{B} active"]
    assert words[2].startswith(f"{GONE} retiring")
    assert words[3] == "9.9.9.9 always (probe)"
    assert words[4] == f"file:{machine.list}: not in sync; see `allowlist plan`"


def test_plan_prints_what_is_to_do_changes_nothing_and_exits_2(machine: Machine) -> None:
    before = machine.list.read_text()
    result = machine.run("plan")

    assert result.exit_code == 2
    first, add, name = result.stdout.splitlines()
    assert [first, add] == [f"file:{machine.list}:", "  add 9.9.9.9"]
    assert name == f"  plan {machine.json('plan')[0]['id']}"
    assert machine.list.read_text() == before
    assert machine.json("plan")[0]["add"] == ["9.9.9.9"]


def test_after_apply_there_is_nothing_to_plan_and_all_is_verified(machine: Machine) -> None:
    assert machine.run("verify").exit_code == 1
    assert machine.run("apply").exit_code == 0
    assert "9.9.9.9" in machine.list.read_text()
    assert machine.run("plan").exit_code == 0
    assert machine.run("verify").exit_code == 0
    assert machine.json("status")["targets"][0]["inSync"] is True


def test_history_has_polls_and_changes_with_their_cause(machine: Machine) -> None:
    machine.run("apply")

    records = machine.json("history")
    kinds = ["poll", "plan", *["poll"] * 3, "plan", "order"]
    assert [record["kind"] for record in records] == kinds
    assert records[-2]["cause"] == "manual"
    assert records[-2]["add"] == ["9.9.9.9"]
    assert records[-1]["order"] == "apply"
    assert len(machine.run("history", "--last", "2").stdout.splitlines()) == 2
    assert machine.run("history", "--last", "9" * 24).exit_code == 2


@pytest.mark.parametrize(
    ("address", "state"),
    [(A, "active"), (GONE, "retiring"), ("8.8.8.8", "not listed")],
)
def test_explain_says_why_and_where_an_address_is_admitted(
    machine: Machine, address: str, state: str
) -> None:
    admitted = state != "not listed"
    shown = machine.json("explain", address)

    assert shown["state"] == state
    assert shown["admittedBy"] == ([f"file:{machine.list}"] if admitted else [])
    assert bool(shown["history"]) == admitted
    assert f"state: {state}" in machine.run("explain", address).stdout


def test_an_own_address_is_explained_by_its_name(machine: Machine) -> None:
    assert machine.json("explain", "9.9.9.9")["state"] == "always"
    assert "alsoAllow: probe" in machine.run("explain", "9.9.9.9").stdout


def test_what_is_no_address_is_a_usage_error(machine: Machine) -> None:
    result = machine.run("explain", "example.org")

    assert result.exit_code == 2
    assert result.stderr == "example.org: not one IPv4 or IPv6 address\n"


def test_a_target_that_cannot_be_read_is_said_by_every_command(machine: Machine) -> None:
    machine.list.write_text("allow 10.0.0.1;\n")

    for command in ("plan", "verify", "apply", "uninstall"):
        result = machine.run(command)
        assert result.exit_code == 1
        assert "not ours; move it away" in result.output
    assert machine.list.read_text() == "allow 10.0.0.1;\n"


def test_before_the_first_good_poll_nothing_is_planned_and_nothing_applied(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    assert "no good poll yet" in machine.run("status").stdout
    for command in ("plan", "verify", "apply"):
        assert machine.run(command).exit_code == 1
    assert not machine.list.exists()


def test_uninstall_takes_away_what_is_ours(machine: Machine) -> None:
    assert machine.run("uninstall").exit_code == 0
    assert not machine.list.exists()


def test_orders_are_carried_out_here_when_nobody_runs(machine: Machine) -> None:
    assert machine.run("freeze", "--for", "1h", "--why", "moving").exit_code == 0
    assert "FROZEN since" in machine.run("status").stdout
    assert machine.run("apply").exit_code == 1
    assert machine.json("unfreeze")["done"] is True
    assert "9.9.9.9" in machine.list.read_text()


def test_rolling_back_is_to_a_revision_that_is_there(machine: Machine) -> None:
    result = machine.run("rollback", "--to", "7")
    assert (result.exit_code, "known: 1, 2" in result.stderr) == (1, True)
    assert machine.run("rollback", "--to", "1").exit_code == 0
    states = {item["address"]: item["state"] for item in machine.json("status")["addresses"]}
    assert states[GONE] == "active"
    assert "rolled back to revision 1" in machine.run("status").stdout


@pytest.mark.parametrize("words", [("open",), ("open", "--for", "x"), ("freeze", "--for", "0s")])
def test_a_duration_that_is_none_is_a_usage_error(machine: Machine, words: tuple[str, ...]) -> None:
    assert machine.run(*words).exit_code == 2


def test_nobody_opens_for_longer_than_a_day(machine: Machine) -> None:
    result = machine.run("open", "--for", "2d")
    assert (result.exit_code, "at most 24h" in result.stderr) == (1, True)
    assert machine.run("open", "--for", "5m").exit_code == 0
    assert "OPEN to everybody until" in machine.run("status").stdout
    assert machine.run("close").exit_code == 0
    assert "OPEN" not in machine.run("status").stdout


def test_a_scheduler_that_runs_is_asked_and_its_answer_shown(machine: Machine) -> None:
    folder = machine.data / "allowlist"
    lock, mailbox, seen, over = FolderLock(folder), Mailbox(folder), [], threading.Event()
    assert lock.take()

    def scheduler() -> None:
        while not seen and not over.is_set():
            for name, request in mailbox.requests(now=time.time()):
                seen.append(request)
                mailbox.answer(name, Answer(True, "done by the scheduler"))
            time.sleep(0.01)

    thread = threading.Thread(target=scheduler)
    thread.start()
    result = machine.run("freeze", "--why", "x")
    over.set()
    thread.join()
    lock.release()
    assert (result.exit_code, result.stdout) == (0, "done by the scheduler\n")
    assert [(request.kind, request.argument) for request in seen] == [("freeze", "x")]


def test_while_a_scheduler_runs_nothing_is_uninstalled(machine: Machine) -> None:
    lock = FolderLock(machine.data / "allowlist")
    assert lock.take()
    result = machine.run("uninstall")
    lock.release()
    assert (result.exit_code, "stop it first" in result.stderr) == (1, True)
    assert machine.list.exists()


def test_a_scheduler_that_does_not_answer_is_said(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowlist_work, "PATIENCE", 0.2)
    lock = FolderLock(machine.data / "allowlist")
    assert lock.take()
    result = machine.run("poll")
    lock.release()
    assert (result.exit_code, "did not answer" in result.stderr) == (1, True)
    assert list((machine.data / "allowlist" / "requests").iterdir()) == []


def test_status_tells_what_was_seen_and_whether_to_enforce(machine: Machine) -> None:
    sightings = Sightings(
        machine.data / "allowlist" / "sightings",
        clock=SystemClock(),
        metrics=AllowlistMetrics(CollectorRegistry()),
    )
    sightings.came(ip_address("77.1.2.3"), packets=9, authentic=True)
    sightings.came(ip_address("77.1.2.4"), packets=1)
    sightings.listed([ip_address("77.1.2.4")])
    sightings.delivered({"listed": 96, "unlisted": 4})
    sightings.save()
    text = machine.run("status").stdout
    assert "not listed: 77.1.2.3, 9 packets" in text
    assert "AUTHENTIC DELIVERIES" in text
    assert "blind: 77.1.2.4 came" in text
    assert "4 of 100 authentic deliveries came from unlisted addresses: 77.1.2.3" in text
    assert "9 packets, authentic deliveries" in machine.run("explain", "77.1.2.3").stdout
    assert "allow.conf is not in sync" in text.split("enforcing is not known to be safe:")[1]
    machine.run("apply")
    assert "is not in sync" not in machine.run("status").stdout
