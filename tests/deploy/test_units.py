import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agora_sidecar.cli.app import application
from receiver.settings import ReceiverSettings
from tests.deploy.units import PROCESSES, settings, socket_unit, unit

PRODUCTION = (Path(__file__).parents[2] / "docs" / "production.md").read_text(encoding="utf-8")
COMPLETE = """
[receiver]
secret = "a-secret-of-a-test"

[agora]
app_id = "app"
customer_id = "id"
customer_secret = "another-secret-of-a-test"
"""

HARDENED = {
    "NoNewPrivileges": "yes",
    "DynamicUser": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectProc": "invisible",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "Restart": "always",
    "Type": "notify",
    "LimitCORE": "0",
    "UMask": "0077",
}

systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def command(process: str, key: str) -> list[str]:
    [line] = settings(process)[key]
    return shlex.split(line)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(COMPLETE)
    return file


@pytest.mark.parametrize("process", PROCESSES)
def test_a_unit_is_hardened(process: str) -> None:
    service = settings(process)
    assert {key: service[key] for key in HARDENED} == {k: [v] for k, v in HARDENED.items()}
    assert service["SystemCallFilter"][0] == "@system-service"


def test_the_receiver_has_no_capability_and_cannot_speak_to_the_kernel() -> None:
    service = settings("receiver")
    assert service["CapabilityBoundingSet"] == []
    assert service["AmbientCapabilities"] == []
    assert service["PrivateUsers"] == ["yes"]
    assert service["RestrictAddressFamilies"] == ["AF_INET AF_INET6 AF_UNIX"]


def test_the_scheduler_may_change_the_packet_filter_and_nothing_else() -> None:
    service = settings("scheduler")
    assert service["CapabilityBoundingSet"] == ["CAP_NET_ADMIN"]
    assert service["AmbientCapabilities"] == ["CAP_NET_ADMIN"]
    assert service["RestrictAddressFamilies"] == ["AF_INET AF_INET6 AF_UNIX AF_NETLINK"]
    assert "PrivateUsers" not in service


@pytest.mark.parametrize("key", ["User", "StateDirectory"])
def test_the_processes_share_neither_a_user_nor_a_folder(key: str) -> None:
    [receiver], [scheduler] = (settings(process)[key] for process in PROCESSES)
    assert receiver != scheduler


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_keeps_its_data_where_its_unit_lets_it_write(process: str) -> None:
    service = settings(process)
    [folder] = service["StateDirectory"]
    assert f"SIDECAR_DATA_DIR=%S/{folder}" in service["Environment"]


@pytest.mark.parametrize("process", PROCESSES)
def test_a_unit_takes_secrets_from_files_that_may_be_missing(process: str) -> None:
    files = ["-/etc/agora-sidecar/env", f"-/etc/agora-sidecar/{process}.env"]
    assert settings(process)["EnvironmentFile"] == files


@pytest.mark.parametrize("process", PROCESSES)
def test_no_file_of_a_working_directory_stands_in_for_a_module(process: str) -> None:
    given = " ".join(settings(process)["Environment"]).split()
    assert "PYTHONSAFEPATH=1" in given


@pytest.mark.parametrize("process", PROCESSES)
def test_the_check_before_the_start_is_a_command_of_ours(process: str, config: Path) -> None:
    program, *arguments = command(process, "ExecStartPre")
    assert Path(program).name == "agora-sidecar"
    arguments[arguments.index("--config") + 1] = str(config)
    done = CliRunner().invoke(application(), arguments)
    assert done.exit_code == 0, done.output
    assert arguments[-2:] == ["--for", process]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_start_is_a_command_of_ours(process: str, config: Path) -> None:
    program, *arguments = command(process, "ExecStart")
    assert Path(program).name == "agora-sidecar"
    config.write_text("colour = 1\n")
    arguments[arguments.index("--config") + 1] = str(config)
    done = CliRunner().invoke(application(), arguments)
    assert done.exit_code == 2
    assert "colour: " in done.stderr  # it came as far as reading its settings


def test_the_receivers_port_is_held_for_it_where_its_settings_say() -> None:
    held = settings("receiver", "Socket")
    assert held["ListenStream"] == [str(ReceiverSettings().listen)]
    assert held["FileDescriptorName"] == ["receiver.listen"]
    assert held["TriggerLimitIntervalSec"] == ["0"]
    [wanted], [after] = (settings("receiver", "Unit")[key] for key in ("Wants", "After"))
    name = socket_unit("receiver").name
    assert name in wanted.split() and name in after.split()
    assert settings("receiver", "Install")["Also"] == [name]


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_that_hangs_is_ended_and_says_where_it_hung(process: str) -> None:
    service = settings(process)
    [patience] = service["WatchdogSec"]
    assert int(patience.removesuffix("s")) >= 30  # more than any pause that is legitimate
    assert "PYTHONFAULTHANDLER=1" in " ".join(service["Environment"]).split()


def test_a_reload_checks_the_settings_before_the_receiver_is_told() -> None:
    check, tell = settings("receiver")["ExecReload"]
    assert [check] == settings("receiver")["ExecStartPre"]
    assert shlex.split(tell)[1:] == ["-HUP", "$MAINPID"]


@pytest.mark.integration
@systemd_analyze
@pytest.mark.parametrize("process", PROCESSES)
def test_systemd_accepts_the_unit(process: str, tmp_path: Path) -> None:
    copied = tmp_path / unit(process).name
    for file in (unit(process), socket_unit(process)):
        if file.exists():
            # it looks for the program, which is installed elsewhere here
            text = file.read_text().replace("/opt/agora-sidecar", sys.prefix)
            (tmp_path / file.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *tmp_path.iterdir()],
        capture_output=True,
        text=True,
        check=False,
    )
    about_ours = [line for line in done.stderr.splitlines() if copied.stem in line]
    assert (done.returncode, about_ours) == (0, [])


@pytest.mark.integration
@systemd_analyze
@pytest.mark.parametrize("process", PROCESSES)
def test_systemd_finds_as_little_that_an_intruder_could_do_as_is_stated(process: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit(process)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    found = re.search(r"Overall exposure level for [^:]+: (\d+\.\d+)", done.stdout)
    stated = re.search(rf"units, from 0 .*\b{process} (\d+\.\d+)", PRODUCTION)
    assert found and stated, done.stdout[-500:]
    # another version of systemd counts a little differently
    assert float(found[1]) == pytest.approx(float(stated[1]), abs=0.3)
