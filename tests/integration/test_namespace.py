"""Runs tests/namespace in a network namespace of its own, which needs no root."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agora_sidecar.cli.demo.namespace import UNSHARE, why_not

FILES = sorted(path.name for path in Path(__file__).parents[1].glob("namespace/test_*.py"))
LONG = ("test_packets.py", "test_watch.py")
"""Those that have long proofs as well."""


def inside(file: str, which: str, *, within: float) -> str:
    """What pytest says of these tests in a namespace of their own."""
    if reason := why_not():
        pytest.skip(reason)
    assert shutil.which("nft")
    tests = (
        sys.executable,
        "-m",
        "pytest",
        f"tests/namespace/{file}",
        "-q",
        "-p",
        "no:cacheprovider",
    )
    run = subprocess.run(
        [*UNSHARE, "--", *tests, "-m", which, "-rPfE"],
        env=os.environ | {"SIDECAR_TESTS_IN_NAMESPACE": "1"},
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\d+ passed", run.stdout)
    return run.stdout


@pytest.mark.integration
@pytest.mark.timeout(170)
@pytest.mark.parametrize("file", FILES)
def test_what_is_proven_with_packets_holds_in_a_namespace(file: str) -> None:
    inside(file, "not slow", within=160)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("file", LONG)
def test_what_takes_longer_to_prove_holds_as_well(file: str) -> None:
    inside(file, "slow", within=950)
