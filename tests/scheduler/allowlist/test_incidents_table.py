"""The tests that the table of incidents names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_incident_has_its_test() -> None:
    text = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text.partition("## What went wrong elsewhere")[2]))
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")
    )
    tests += (ROOT / "tests/scheduler/allowlist/contract.py").read_text(encoding="utf-8")
    assert len(named) > 12
    assert {name for name in named if f"def {name}(" not in tests} == set()
