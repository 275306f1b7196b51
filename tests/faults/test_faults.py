"""The proof as a test: a few seeds always, more in the long run; `make faults` runs hundreds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.sabotage import DAMAGE

pytestmark = pytest.mark.integration


def faults(tmp_path: Path, *arguments: str, timeout: float) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and output of one run."""
    out = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *arguments, "--jobs", "2", "--json", str(out)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert out.exists(), done.stdout
    return done.returncode, json.loads(out.read_text()), done.stdout


@pytest.mark.timeout(150)
def test_no_acknowledged_event_is_lost_nor_stored_twice_whatever_breaks(tmp_path: Path) -> None:
    code, report, said = faults(tmp_path, "--seeds", "65", timeout=140)
    assert code == 0, said
    assert len(report["seeds"]) == 2
    assert all(seed["acknowledged"] > 100 for seed in report["seeds"])


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_twelve_more_seeds(tmp_path: Path) -> None:
    code, report, said = faults(tmp_path, "--seeds", "101-112", timeout=390)
    assert code == 0, said
    assert len(report["seeds"]) == 13
    assert len(report["faults"]) > 10


@pytest.mark.timeout(100)
def test_damage_to_the_stream_is_found(tmp_path: Path) -> None:
    """Each kind of wrong, done on purpose: a proof that cannot fail proves nothing."""
    code, report, said = faults(
        tmp_path, "--seeds", "0", "--seconds", "2", "--sabotage", timeout=90
    )
    assert code == 1, said
    found = {kind for kind, count in report["failures"].items() if count}
    assert found == set(DAMAGE)
