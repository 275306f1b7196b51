"""The tests that docs/allowlist.md names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_test_that_the_document_names_exists() -> None:
    text = (ROOT / "docs" / "allowlist.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    sources = [*(ROOT / "tests").rglob("test_*.py"), Path(__file__).with_name("contract.py")]
    tests = "\n".join(path.read_text() for path in sources)
    assert len(named) > 25
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_every_incident_has_a_test() -> None:
    text = (ROOT / "docs" / "allowlist.md").read_text()
    rows = text.partition("## What went wrong elsewhere")[2].splitlines()
    incidents = [row for row in rows if row.startswith("| ") and "#" in row]
    assert len(incidents) > 25
    assert [row for row in incidents if not re.search(r"\| `test_\w+` \|$", row)] == []
