"""The breaker and the audit by themselves; what the loop does with them is in test_reconcile."""

import json
from pathlib import Path

from structlog.testing import capture_logs

from scheduler.recordings.breaker import HOUR, Breaker
from scheduler.recordings.stop_audit import StopAudit
from tests.fakes.full_disk import room_for


def test_the_breaker_opens_at_its_limit_and_closes_as_the_hour_moves() -> None:
    breaker = Breaker(2)
    breaker.note(100.0)
    assert not breaker.is_open(200.0)
    breaker.note(200.0)

    assert breaker.closes_at(201.0) == 100.0 + HOUR
    assert not breaker.is_open(100.0 + HOUR)
    assert breaker.used(100.0 + HOUR) == 1


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_are_appended_and_one_older_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "stops.jsonl"
    audit = StopAudit(path, max_bytes=100)
    for number in range(20):
        audit.write(at=float(number), sid="s")

    assert records(path)[-1] == {"at": 19.0, "sid": "s"}
    older = path.with_name("stops.jsonl.1")
    assert path.stat().st_size <= 100
    assert older.stat().st_size <= 100
    assert sorted(file.name for file in path.parent.iterdir()) == ["stops.jsonl", "stops.jsonl.1"]


def test_a_disk_that_takes_nothing_is_said_once_and_again_after_it_was_well(tmp_path: Path) -> None:
    path = tmp_path / "stops.jsonl"
    path.mkdir()
    audit = StopAudit(path)
    with capture_logs() as logs:
        audit.write(sid="a")
        audit.write(sid="b")
        path.rmdir()
        audit.write(sid="c")
        path.unlink()
        path.mkdir()
        audit.write(sid="d")

    assert [entry["event"] for entry in logs] == ["recording.audit_failed"] * 2


def test_a_disk_that_takes_half_of_a_record_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "stops.jsonl"
    audit = StopAudit(path)
    audit.write(sid="a")
    with room_for(path.stat().st_size + 5), capture_logs() as logs:
        audit.write(sid="b")
    audit.write(sid="c")

    assert [json.loads(line)["sid"] for line in path.read_text().splitlines()] == ["a", "c"]
    assert [entry["event"] for entry in logs] == ["recording.audit_failed"]
