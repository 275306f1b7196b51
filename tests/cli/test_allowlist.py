"""The commands over the list that a scheduler would have left behind, and a real file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agora_sidecar.cli.allowlist import app
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
