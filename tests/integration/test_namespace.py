"""Runs tests/namespace in a network namespace of its own, which needs no root."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from agora_sidecar.cli.demo.namespace import UNSHARE, why_not


@pytest.mark.integration
@pytest.mark.timeout(170)
def test_what_is_proven_with_packets_holds_in_a_namespace() -> None:
    if reason := why_not():
        pytest.skip(reason)
    assert shutil.which("nft")
    run = subprocess.run(
        [
            *UNSHARE,
            "--",
            sys.executable,
            "-m",
            "pytest",
            "tests/namespace",
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        env=os.environ | {"SIDECAR_TESTS_IN_NAMESPACE": "1"},
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    assert re.search(r"\d+ passed", run.stdout)
