import json
from typing import Any

import msgspec
import pytest
import structlog

from agora_sidecar.process.logs import configure
from agora_sidecar.process.page.recent import FAMILIES, KEPT, LONGEST, Recent
from agora_sidecar.process.secret import Secret


def say(recent: Recent, event: str, level: str = "info", **details: Any) -> None:
    recent(None, level, {"event": event, "timestamp": "2026-11-25T00:00:00Z", **details})


def test_the_newest_lines_of_the_asked_families_come_first() -> None:
    recent = Recent()
    say(recent, "allowlist.polled", listed=4)
    say(recent, "other.thing")
    say(recent, "recording.ended", "warning", sid="s")

    newest, oldest = recent.last(["allowlist", "recording"])

    assert newest == {
        "number": 3,
        "time": "2026-11-25T00:00:00Z",
        "level": "warning",
        "event": "recording.ended",
        "details": {"sid": "s"},
    }
    assert oldest["event"] == "allowlist.polled"
    assert len(recent.last(["allowlist", "recording"], most=1)) == 1


def test_a_talkative_family_pushes_out_no_other() -> None:
    recent = Recent()
    say(recent, "allowlist.applied")
    for number in range(1000):
        say(recent, "recording.ended", number=number)

    assert len(recent.last(["recording"], most=500)) == KEPT
    assert len(recent.last(["allowlist"])) == 1


def test_what_is_kept_is_bounded_in_every_direction() -> None:
    recent = Recent(without=["event.stored"])
    for number in range(FAMILIES * 2):
        say(recent, f"family{number}.x", text="y" * 10_000, many=list(range(1000)))
    say(recent, "event.stored")

    assert recent.last(["event", f"family{FAMILIES}"]) == []
    [line] = recent.last(["family0"])
    assert len(line["details"]["text"]) == LONGEST
    assert len(line["details"]["many"]) < 20


def test_whatever_was_logged_can_be_told_as_json() -> None:
    recent = Recent()
    say(recent, "a.b", odd="\udcff", raw=b"\xff", nan=float("nan"), secret=Secret("hunter2"))
    say(recent, "a.c", exc_info=ValueError("x"), nested={"a": object()})

    text = msgspec.json.encode(recent.last(["a"])).decode()
    assert "hunter2" not in text
    assert "exc_info" not in text


def test_it_passes_on_what_it_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    recent = Recent()
    configure(passing=recent)
    try:
        structlog.get_logger().warning("store.lost", why="gone")
        structlog.get_logger().debug("store.debug")
    finally:
        structlog.reset_defaults()

    written = json.loads(capsys.readouterr().out)
    [kept] = recent.last(["store"])
    assert (written["event"], written["why"]) == ("store.lost", "gone")
    assert (kept["event"], kept["level"], kept["details"]) == (
        "store.lost",
        "warning",
        {"why": "gone"},
    )
    assert kept["time"] == written["timestamp"]
