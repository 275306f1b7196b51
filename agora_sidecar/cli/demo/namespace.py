"""A network namespace of our own: real nftables can be shown without root and without risk."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from agora_sidecar.cli.demo import window

INSIDE = "AGORA_SIDECAR_DEMO_NAMESPACE"
"""Set for the copy of this program that runs inside."""
WINDOWS = 2
"""Status pages that are to be seen from outside: one of each process."""
UNSHARE = ("unshare", "--user", "--map-root-user", "--net")


def why_not() -> str:
    """What keeps this machine from showing nftables in a namespace; empty if nothing does."""
    for program in ("unshare", "ip", "nft"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode:
        return "this kernel gives no user namespaces to ordinary users"
    return ""


def inside() -> bool:
    """Whether this process already runs in its own namespace."""
    return bool(os.environ.get(INSIDE))


def enter(arguments: Sequence[str]) -> None:
    """Replace this process by `agora-sidecar ARGUMENTS` in its own namespace; never returns."""
    os.execvpe(  # noqa: S606 - fixed program, our own arguments
        UNSHARE[0],
        [*UNSHARE, "--", sys.executable, "-m", "agora_sidecar", *arguments],
        os.environ | {INSIDE: "1"} | window.opened(WINDOWS),
    )


def prepare(addresses: Sequence[str]) -> None:
    """Bring the namespace's loopback up and give it these addresses.

    Raises:
        subprocess.CalledProcessError: the kernel refused.
    """
    _ip("link", "set", "lo", "up")
    for address in addresses:
        _ip("address", "add", f"{address}/32", "dev", "lo")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
