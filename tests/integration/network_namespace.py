"""Runs Python in a network namespace of its own: real nftables and packets, no root, no risk."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNSHARE = ("unshare", "--user", "--map-root-user", "--net")


def why_not() -> str:
    """What keeps this machine from it; empty if nothing does."""
    for program in ("unshare", "ip", "nft"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = [*UNSHARE, "nft", "list", "ruleset"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "this kernel gives ordinary users no network namespace with nftables"
    return ""


def run_inside(
    script: str, *, addresses: Sequence[str] = (), timeout: float = 50.0
) -> subprocess.CompletedProcess[str]:
    """Run a Python text inside, with loopback up and these addresses on it.

    The text runs from the repository's root, so it may import the packages and the fakes.
    """
    setup = ["ip link set lo up"]
    for address in addresses:
        nodad = " nodad" if ":" in address else ""
        setup.append(f"ip address add {address}/{128 if nodad else 32} dev lo{nodad}")
    shell = " && ".join([*setup, 'exec "$0" -W error -c "$1"'])
    return subprocess.run(
        [*UNSHARE, "sh", "-c", shell, sys.executable, script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout,
        check=False,
    )
