"""The boot file of the packet filter, in network namespaces of its own: closed, kept, taken over."""

import subprocess
import sys
from pathlib import Path

import pytest

from agora_sidecar.cli.demo.namespace import UNSHARE, why_not

FOLDER = Path(__file__).parents[2] / "deploy" / "nftables"
pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

BEGIN = """
import asyncio, subprocess, sys
from ipaddress import ip_address
from pathlib import Path
from scheduler.allowlist.targets.nftables.table import NftablesTarget

boot, save, folder, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
A, B, C = map(ip_address, ("101.36.1.1", "101.36.1.2", "2606:4700::1"))
saved = Path(folder, "last-known.nft")

def nft(*arguments):
    return subprocess.run(["nft", *arguments], check=True, capture_output=True, text=True).stdout

def keep():
    return subprocess.run(["sh", save, folder], check=True, capture_output=True, text=True).stderr

def admitted():
    return asyncio.run(target().read()).admitted

def target(size=64):
    return NftablesTarget(port=port, mode="enforce", max_entries=size, ports=(port,))
"""


def inside(body: str, folder: Path, *, port: int = 8080) -> None:
    """Run this in a namespace, with the boot file for a port and a folder for the last known list."""
    if reason := why_not():
        pytest.skip(reason)
    boot = folder / "boot.nft"
    text = (FOLDER / "agora-sidecar.nft").read_text().replace("8080", str(port))
    boot.write_text(text.replace("/var/lib/agora-sidecar-nftables", str(folder)))
    given = [str(boot), str(FOLDER / "save.sh"), str(folder), str(port)]
    run = subprocess.run(
        [*UNSHARE, "--", sys.executable, "-c", BEGIN + body, *given],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_with_no_list_the_port_is_closed_and_others_are_not(tmp_path: Path) -> None:
    inside(
        """
import socket
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "address", "add", "101.36.1.66/32", "dev", "lo"], check=True)
nft("-f", boot)
assert admitted() == {}

def reaches(number):
    with socket.create_server(("127.0.0.1", number)):
        try:
            socket.create_connection(("127.0.0.1", number), 0.4, ("101.36.1.66", 0)).close()
        except TimeoutError:
            return False
        return True

assert not reaches(port)
assert reaches(port + 1)
nft("add", "element", "inet", "agora_sidecar", "ncs4", "{ 101.36.1.66 }")
assert reaches(port)
""",
        tmp_path,
    )


@pytest.mark.parametrize("port", [8080, 18443])
def test_the_scheduler_takes_over_without_an_error(tmp_path: Path, port: int) -> None:
    inside(
        """
nft("-f", boot)
t = target()
assert asyncio.run(t.read()).form != t.form
asyncio.run(t.apply({A: None, B: 90.0, C: None}))
now = asyncio.run(t.read())
assert now.form == t.form, now.form
assert now.admitted.keys() == {A, B, C}
assert "boot" not in nft("list", "ruleset")
assert asyncio.run(t.counted()) == {"listed": 0, "unlisted": 0}
""",
        tmp_path,
        port=port,
    )


def test_the_scheduler_takes_over_with_another_limit_of_entries(tmp_path: Path) -> None:
    inside(
        """
nft("-f", boot)
asyncio.run(target(32).apply({A: None}))
assert admitted() == {A: None}
""",
        tmp_path,
    )


def test_the_last_known_list_is_there_after_a_boot_with_what_is_left_of_each(
    tmp_path: Path,
) -> None:
    inside(
        """
nft("-f", boot)
many = {ip_address(f"101.36.2.{n}"): None for n in range(1, 41)}
asyncio.run(target().apply({A: None, B: 90.0, C: None} | many))
keep()
nft("flush", "ruleset")
nft("-f", boot)
found = admitted()
assert found.keys() == {A, B, C} | many.keys()
assert found[A] is None and 60 < found[B] <= 90
""",
        tmp_path,
    )


def test_an_empty_table_does_not_replace_the_last_known_list(tmp_path: Path) -> None:
    inside(
        """
nft("-f", boot)
asyncio.run(target().apply({A: None}))
keep()
before = saved.read_text()
nft("flush", "ruleset")
nft("-f", boot)
nft("flush", "set", "inet", "agora_sidecar", "ncs4")
assert "stays as it is" in keep()
assert saved.read_text() == before
assert not Path(folder, "new").exists()
""",
        tmp_path,
    )


def test_loaded_again_beside_a_running_scheduler_it_locks_nobody_out(tmp_path: Path) -> None:
    inside(
        """
nft("-f", boot)
t = target()
asyncio.run(t.apply({A: None, C: None}))
nft("-f", boot)
assert admitted() == {A: None, C: None}
asyncio.run(t.apply({A: None, C: None}))
assert asyncio.run(t.read()).form == t.form
""",
        tmp_path,
    )
