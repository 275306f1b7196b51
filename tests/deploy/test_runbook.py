"""The runbook: a section for each alert, and nothing in it that does not exist."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agora_sidecar.cli import reference
from agora_sidecar.cli.app import application
from tests.deploy.test_prometheus import alerts, existing
from tests.test_documents import ROWS, TYPED, anchors, code_in

ROOT = Path(__file__).parents[2]
PATH = ROOT / "deploy" / "RUNBOOK.md"
TEXT = PATH.read_text(encoding="utf-8")
PARTS = ("Means", "First look", "Causes, likeliest first", "Cure", "Not")
PROCEDURES = ("Start", "Stop", "Upgrade", "Rotate a secret", "After a lost Redis")


def sections() -> dict[str, str]:
    """Text by heading of the third level."""
    parts = re.split(r"^#{2,3} (.+)\n", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands() -> list[str]:
    """Each `agora-sidecar …` that is to be typed, whole."""
    found = re.findall(r"(?<![\w/-])agora-sidecar ([a-z][^`#;\n]*)", code_in(TEXT))
    return sorted({text.strip() for text in found})


def dotted() -> set[str]:
    """Log events and settings, as they are quoted; no names of files."""
    found = re.findall(r"`([a-z]+(?:\.[a-z_]+)+)`", TEXT)
    return {name for name in found if not name.endswith((".env", ".toml"))}


@cache
def help_of(typed: str) -> str:
    result = CliRunner().invoke(
        application(), [*typed.split()[1:], "--help"], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, typed
    return result.output


def test_every_alert_has_a_section_and_every_such_section_an_alert() -> None:
    written = [heading for heading in sections() if heading.startswith("AgoraSidecar")]

    assert sorted(written) == sorted(alerts())
    assert {name.lower() for name in alerts()} <= anchors(TEXT)


@pytest.mark.parametrize("name", sorted(alerts()))
def test_a_section_says_what_it_means_where_to_look_why_what_to_do_and_what_not(name: str) -> None:
    parts = re.findall(r"^- \*\*(.+?):\*\* \S", sections()[name], re.MULTILINE)

    assert tuple(parts) == PARTS


def test_the_procedures_are_there() -> None:
    assert [name for name in (*PROCEDURES, "After a lost data_dir") if name not in sections()] == []


@pytest.mark.parametrize("written", commands())
def test_every_command_exists_with_its_options(written: str) -> None:
    words = shlex.split(written)
    typed = f"agora-sidecar {words[0]}"
    if typed not in TYPED:
        typed = f"agora-sidecar {' '.join(words[:2])}"
    assert typed in TYPED, written

    options = [word for word in words if word.startswith("--")]
    assert [o for o in options if not re.search(rf"{o}\b", help_of(typed))] == []


def test_every_metric_that_is_named_exists() -> None:
    assert {n for n in re.findall(r"agora_sidecar_[a-z_]+", TEXT) if n not in existing()} == set()


def test_every_log_event_that_is_named_exists() -> None:
    events = {event.event for event in reference.log_events()}
    groups = {event.partition(".")[0] for event in events}
    ours = {n for n in dotted() if n.partition(".")[0] in groups and n not in ROWS}

    assert ours
    assert ours - events == set()


def test_every_setting_that_is_named_exists() -> None:
    tables = {path.partition(".")[0] for path in ROWS if "." in path}
    events = {event.event for event in reference.log_events()}
    ours = {n for n in dotted() if n.partition(".")[0] in tables and n not in events}

    assert ours
    assert {n for n in ours if n not in ROWS} == set()


def test_every_link_leads_somewhere() -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        name, _, anchor = link.partition("#")
        target = (PATH.parent / name).resolve() if name else PATH
        there = target.is_file() and target.is_relative_to(ROOT)
        if not there or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)

    assert broken == []
