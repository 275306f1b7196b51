"""Tests with a network of their own: run by tests/integration/test_namespace.py, nowhere else."""

import os
import subprocess

import pytest

INSIDE = "SIDECAR_TESTS_IN_NAMESPACE"

if not os.environ.get(INSIDE):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def loopback() -> None:
    """Loopback with addresses that look real; nothing leaves a namespace without an uplink."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ("101.36.1.1", "101.36.1.2", "101.36.1.3", "101.36.1.66"):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    for address in ("2606:4700::1", "2606:4700::66"):
        command = ["ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad"]
        subprocess.run(command, check=True)
