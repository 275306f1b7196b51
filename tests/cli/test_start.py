"""What a process that runs for months leaves out when it starts, and that nobody misses it."""

import subprocess
import sys

import pytest

PROCESSES = ["receiver", "scheduler", "up"]

SHOW = """
import gc, runpy, ssl, sys
certificates = ssl.create_default_context().cert_store_stats()
gc.collect()
sys.argv = ["agora-sidecar", COMMAND, "--config", "/nonexistent"]
try:
    runpy.run_module("agora_sidecar", run_name="__main__")
except SystemExit:
    pass
contexts = [found for found in gc.get_objects() if issubclass(type(found), ssl.SSLContext)]
assert "aiohttp" in sys.modules and "structlog" in sys.modules and contexts
print(sum(context.cert_store_stats()["x509"] for context in contexts))
print(ssl.create_default_context().cert_store_stats() == certificates)
print("rich" in sys.modules)
"""


@pytest.mark.parametrize("command", PROCESSES)
def test_a_process_reads_no_certificates_and_no_colours(command: str) -> None:
    code = SHOW.replace("COMMAND", repr(command))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.split() == ["0", "True", "False"]


@pytest.mark.parametrize("command", PROCESSES)
def test_help_of_a_process_is_shown(command: str) -> None:
    found = ran(command, "--help")

    assert (found.returncode, found.stderr) == (0, "")
    assert "Example" in found.stdout


@pytest.mark.parametrize("command", PROCESSES)
def test_an_unknown_option_of_a_process_is_named(command: str) -> None:
    found = ran(command, "--nonsense")

    assert found.returncode == 2
    assert "No such option: --nonsense" in found.stderr
    assert "Traceback" not in found.stderr


def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line as installed."""
    command = [sys.executable, "-m", "agora_sidecar", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
