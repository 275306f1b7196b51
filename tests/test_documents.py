"""What the documents say is compared with the code, so that they cannot part."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from agora_sidecar import __version__
from agora_sidecar.cli import reference
from agora_sidecar.cli.app import application
from agora_sidecar.cli.document import Document
from agora_sidecar.entry import Entry
from agora_sidecar.keys import Keys
from agora_sidecar.process.health import Health
from agora_sidecar.process.ops import ops_application
from agora_sidecar.process.page.board import Panel
from agora_sidecar.process.settings import reference as settings_reference
from scheduler.recordings.api import recordings_application
from scheduler.recordings.door import Door
from scheduler.recordings.registry import Registry
from scheduler.recordings.timings import Timings
from tests.fakes.clock import FakeClock
from tests.fakes.memory_ledger import MemoryLedger

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TYPED = dict(reference.commands())
ROWS = {row.path: row for row in settings_reference(Document)}

_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def code_in(text: str) -> str:
    return "\n".join(_CODE.findall(text))


def document(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def cells(text: str, heads: str) -> Iterator[list[str]]:
    """The rows of the table that begins with this line."""
    _, found, rest = text.partition(heads)
    assert found, f"there is no table {heads}"
    for line in rest.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_reference_is_what_the_code_says() -> None:
    written = document(ROOT / "docs" / "reference.md")

    assert reference.render() == written, (
        "render it again: python -m agora_sidecar.cli.reference > docs/reference.md"
    )


def test_the_reference_counts_what_every_metrics_class_counts() -> None:
    classes = {
        node.name
        for path, _ in reference.modules()
        for node in ast.walk(ast.parse(document(path)))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Metrics")
    }

    assert classes == {kind.__name__ for kinds in reference.METRICS.values() for kind in kinds}


def test_every_metric_of_the_sources_is_in_the_reference() -> None:
    written = set(re.findall(r"`(agora_sidecar_\w+)`", document(ROOT / "docs" / "reference.md")))
    in_sources = {
        name
        for path, _ in reference.modules()
        if path.name in {"metrics.py", "timetable.py"}
        for name in re.findall(r'"(agora_sidecar_\w+)"', document(path))
    }

    assert len(in_sources) > 20
    assert in_sources <= written


def test_every_key_is_in_the_reference() -> None:
    keys = Keys("ncs")
    names = [keys.events, keys.quarantine, keys.hints, keys.due, keys.allowlist]
    names += [keys.seen("<source>", "<noticeId>"), keys.same("<source>", "<digest>")]
    names += [keys.recording("<sid>"), keys.lease("<name>"), keys.lease("<name>") + ":fence"]
    names += [keys.dead("<group>"), keys.claim("<sid>")]

    rendered = cells(document(ROOT / "docs" / "reference.md"), "| key |")
    assert {row[0] for row in rendered} == {f"`{name}`" for name in names}


def test_a_log_event_that_is_not_written_out_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("log.info(name, sid=sid)\n")

    with pytest.raises(ValueError, match=r"module, line 1: the event's name is not written there"):
        list(reference.logged(source, "module"))


def test_a_choice_of_events_and_of_levels_is_read(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text(
        "say = log.error if bad else log.info\n"
        'say("a.one" if first else "a.two", why=why, **facts)\n'
        'print("no.event")\n'
    )

    assert list(reference.logged(source, "module")) == [
        reference.LogEvent("a.one", "error or info", ("why", "…"), "module"),
        reference.LogEvent("a.two", "error or info", ("why", "…"), "module"),
    ]


def test_log_events_are_short_dotted_names() -> None:
    events = reference.log_events()

    assert len(events) > 40
    assert [e.event for e in events if not re.fullmatch(r"[a-z]+(\.[a-z_]+)+", e.event)] == []


@pytest.mark.parametrize("typed", TYPED)
def test_every_command_has_help_with_an_example(typed: str) -> None:
    result = CliRunner().invoke(
        application(), [*typed.split()[1:], "--help"], env={"COLUMNS": "200"}
    )

    assert result.exit_code == 0
    assert "Example:" in result.output
    assert typed in result.output


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(path: Path) -> None:
    groups = {" ".join(typed.split()[:2]) for typed in TYPED if typed.count(" ") == 2}
    found = re.findall(
        r"(?<![\w/])agora-sidecar ([a-z]+)(?: ([a-z][a-z-]*))?(?![a-z.])", code_in(document(path))
    )
    named = {
        f"agora-sidecar {first} {second}"
        if f"agora-sidecar {first}" in groups
        else f"agora-sidecar {first}"
        for first, second in found
    }

    assert named - TYPED.keys() == set()


def test_the_readme_names_every_command() -> None:
    assert [typed for typed in TYPED if f"`{typed}`" not in README] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    makefile = document(ROOT / "Makefile")
    named = set(re.findall(r"\bmake ([a-z]+)", code_in(document(path))))

    assert {name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


def test_the_two_commands_are_the_first_thing_to_run() -> None:
    assert README.index("make demo ") < README.index("make test ") < README.index("## Settings")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    links = [link for link in _LINK.findall(document(path)) if "://" not in link]
    broken = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        known = target.exists() and target.is_relative_to(ROOT)
        if not known or (anchor and anchor not in anchors(document(target))):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_names_a_place_of_one_machine(path: Path) -> None:
    text = document(path)
    places = ("/home/", "/root", "/work", "/tmp/", "/Users/", "C:\\")
    registries = ("pypi.org", "pythonhosted", "docker.io", "ghcr.io", "quay.io", "artifactory")

    assert [word for word in (*places, *registries) if word in text] == []


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(README.splitlines()) < 350


def test_the_readme_has_its_parts_in_order() -> None:
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == [
        "What it does and promises",
        "How data flows",
        "Run it in a minute",
        "Settings",
        "Operating it",
        "How to change it",
        "Map of the tree",
        "Decisions and debts",
        "Security notes",
    ]


def test_the_readme_settings_are_settings_with_these_defaults() -> None:
    told = {name.strip("`"): default for name, default, _ in cells(README, "| setting | default |")}

    assert len(told) > 20
    assert told == {name: f"`{ROWS[name].default}`" if ROWS[name].default else "" for name in told}


def test_the_readme_leads_to_all_settings() -> None:
    rendered = document(ROOT / "docs" / "reference.md")

    assert "docs/reference.md#settings" in README
    assert [path for path in ROWS if f"| `{path}` |" not in rendered] == []


def _owner(node: ast.expr, module: str) -> str:
    """The section that `stream` or `document.stream` is; `settings` is that of the receiver."""
    name = {ast.Name: "id", ast.Attribute: "attr"}.get(type(node))
    owner = str(getattr(node, name)) if name else ""
    return "receiver" if owner == "settings" and module.startswith("receiver.") else owner


def test_the_readme_has_every_field_of_an_entry() -> None:
    told = {
        name
        for field, _ in cells(README, "| field | value |")
        for name in field.replace("`", "").split()
    }

    known = set(Entry.__struct_fields__) - {"stream_id"}
    assert told == known | {"specversion", "datacontenttype"}


def test_the_readme_has_every_route_of_the_processes() -> None:
    clock = FakeClock()
    panel = Panel("x", "", _no_status, Health(clock))
    ops = ops_application(panel=panel, registry=CollectorRegistry())
    registry = Registry(ledger=MemoryLedger(), timings=Timings(), clock=clock)
    api = recordings_application(registry=registry, app_ids=["app"], clock=clock, door=Door())
    routes = {
        (route.method, route.resource.canonical)
        for application in (ops, api)
        for route in application.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }

    assert {path for _, path in routes if f"`{path}`" not in README and "{" not in path} == set()
    assert {method for method, path in routes if "{sid}" in path} == {"GET", "PUT", "DELETE"}
    assert all(word in README for word in ("-X PUT", "-X DELETE", "/recordings/$SID"))


async def _no_status() -> dict[str, object]:
    return {}


def test_the_map_of_the_tree_names_what_is_there() -> None:
    tree = README.partition("## Map of the tree")[2].partition("```")[2].partition("```")[0]
    missing = []
    folder = ROOT
    for line in tree.splitlines():
        names = re.match(r"((?:\S+ )*\S+)(?:\s{2,}|$)", line.strip())
        if names is None:
            continue
        inner = line.startswith("  ")
        for name in names[1].split():
            place = (folder if inner else ROOT) / name
            missing += [] if place.exists() else [str(place.relative_to(ROOT))]
            folder = folder if inner else place

    assert missing == []


def test_the_changelog_begins_with_this_version() -> None:
    released = re.findall(r"^## \[(\d\S*)\]", document(ROOT / "CHANGELOG.md"), re.MULTILINE)

    assert released[0] == __version__
