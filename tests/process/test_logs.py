import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

import pytest
import structlog

from agora_sidecar.process.logs import Level, aside, configure
from agora_sidecar.process.secret import Secret

HUNTER = "hunter2-is-the-secret"

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(output: Output) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.readouterr().out.splitlines()]


def fail_with_a_secret_at_hand() -> None:
    token = HUNTER
    raise RuntimeError(f"length {len(token)}")


def test_aside_only_what_is_wrong_is_said_and_not_on_standard_output(capsys: Output) -> None:
    with aside():
        structlog.get_logger().debug("agora.call")
        structlog.get_logger().info("allowlist.polled")
        structlog.get_logger().warning("allowlist.not_applied")
    structlog.get_logger().info("event.stored")
    out, err = capsys.readouterr()
    assert ("allowlist.not_applied" in err, err.count("\n")) == (True, 1)
    assert ("event.stored" in out, out.count("\n")) == (True, 1)


def test_an_event_is_one_json_object_on_one_line(capsys: Output) -> None:
    configure()
    structlog.get_logger().info("event.stored", source="main", text="a\nb\0\udcff", bytes=b"\xff")

    (line,) = lines(capsys)

    assert (line["event"], line["level"], line["source"]) == ("event.stored", "info", "main")
    assert line["text"] == "a\nb\0\udcff"
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_a_line_and_its_end_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several workers share one standard output, which may be unbuffered: two would interleave."""

    class Written(io.StringIO):
        pieces: ClassVar[list[str]] = []

        def write(self, text: str) -> int:
            self.pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Written())
    configure()
    structlog.get_logger().info("event.stored")
    logging.getLogger("library").warning("odd")

    assert [piece.count("\n") for piece in Written.pieces] == [1, 1]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["a.debug", "a.info", "a.warning", "a.error"]),
        ("info", ["a.info", "a.warning", "a.error"]),
        ("warning", ["a.warning", "a.error"]),
        ("error", ["a.error"]),
    ],
)
def test_what_is_less_important_than_the_level_is_not_written(
    capsys: Output, level: Level, written: list[str]
) -> None:
    configure(level=level)
    log = structlog.get_logger()
    log.debug("a.debug")
    log.info("a.info")
    log.warning("a.warning")
    log.error("a.error")

    assert [line["event"] for line in lines(capsys)] == written


def test_what_is_bound_to_the_context_is_in_every_line(capsys: Output) -> None:
    configure()
    with structlog.contextvars.bound_contextvars(trace_id="abc"):
        structlog.get_logger().info("event.stored")
    structlog.get_logger().info("event.stored")

    assert [line.get("trace_id") for line in lines(capsys)] == ["abc", None]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_secret_that_is_logged_by_mistake_prints_as_stars(capsys: Output, format_: Any) -> None:
    configure(format=format_)
    structlog.get_logger().info("event.stored", key=Secret(HUNTER), keys=[Secret(HUNTER)])

    output = capsys.readouterr().out

    assert "********" in output
    assert HUNTER not in output


def test_an_exception_is_fields_without_anybodys_local_variables(capsys: Output) -> None:
    configure()
    try:
        fail_with_a_secret_at_hand()
    except RuntimeError:
        structlog.get_logger().exception("job.failed")

    (line,) = lines(capsys)
    (exception,) = line["exception"]

    assert (line["event"], line["level"]) == ("job.failed", "error")
    assert (exception["exc_type"], exception["exc_value"]) == ("RuntimeError", "length 21")
    assert exception["frames"][-1]["name"] == "fail_with_a_secret_at_hand"
    assert HUNTER not in json.dumps(line)


def test_an_exception_on_a_console_shows_no_local_variables_either(capsys: Output) -> None:
    configure(format="console")
    try:
        fail_with_a_secret_at_hand()
    except RuntimeError:
        structlog.get_logger().exception("job.failed")

    output = capsys.readouterr().out

    assert "RuntimeError: length 21" in output
    assert HUNTER not in output


def test_the_console_is_for_people_and_has_no_colours_where_there_is_no_terminal(
    capsys: Output,
) -> None:
    configure(format="console")
    structlog.get_logger().info("event.stored", source="main")

    output = capsys.readouterr().out

    assert "event.stored" in output
    assert "source=main" in output
    assert "\x1b" not in output


def test_libraries_speak_in_the_same_format_and_only_when_something_is_wrong(
    capsys: Output,
) -> None:
    configure(level="debug")
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("odd %s", "answer")
    try:
        fail_with_a_secret_at_hand()
    except RuntimeError:
        library.exception("broken")

    odd, broken = lines(capsys)

    assert (odd["event"], odd["level"], odd["logger"]) == ("odd answer", "warning", "some.library")
    assert broken["exception"][0]["exc_type"] == "RuntimeError"
    assert HUNTER not in json.dumps(broken)


def test_libraries_are_silent_below_a_stricter_level(capsys: Output) -> None:
    configure(level="error")
    logging.getLogger("some.library").warning("odd")

    assert lines(capsys) == []


def test_configuring_again_does_not_write_twice(capsys: Output) -> None:
    configure()
    configure()
    structlog.get_logger().info("a.b")
    logging.getLogger("x").warning("y")

    assert [line["event"] for line in lines(capsys)] == ["a.b", "y"]
