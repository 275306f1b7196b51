from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scheduler.allowlist.audit import KEPT, Audit


def test_it_is_bounded_and_its_end_is_always_there(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl", full=2000)
    for number in range(1000):
        audit.write("poll", float(number), text="x" * 50)
    files = sorted(tmp_path.iterdir())
    assert len(files) == KEPT + 1
    assert sum(file.stat().st_size for file in files) < (KEPT + 1) * 2200
    records = audit.read(last=40)
    assert [record["at"] for record in records] == [float(n) for n in range(960, 1000)]


@pytest.mark.parametrize("half", [b'{"kind":"po', b"\xff\n", b"[]\n", b"{}\n"])
def test_what_was_cut_off_hides_neither_what_is_before_nor_after(
    tmp_path: Path, half: bytes
) -> None:
    path = tmp_path / "audit.jsonl"
    Audit(path).write("poll", 1.0)
    with path.open("ab") as file:
        file.write(half)
    audit = Audit(path)
    audit.write("poll", 2.0)
    assert [record["at"] for record in audit.read(last=9)] == [1.0, 2.0]
    assert [record["at"] for record in audit.recent()] == [1.0, 2.0]


def test_a_disk_that_takes_nothing_costs_a_record_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    audit = Audit(tmp_path / "file" / "audit.jsonl")
    with capture_logs() as logs:
        audit.write("poll", 1.0)
    assert [entry["event"] for entry in logs] == ["allowlist.audit_failed"]
    assert len(audit.recent()) == 1
