"""Renders `docs/reference.md` from the code: `python -m agora_sidecar.cli.reference`.

Everything that another program may depend on and that the code already says somewhere: commands,
settings, answers, keys, metrics, log events. Nothing is said here that the code does not say; where
the code cannot be read, rendering fails, and so does the test that compares.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from typer.main import get_command

import agora_sidecar
import receiver
import scheduler
from agora_sidecar import keys
from agora_sidecar.cli.app import application
from agora_sidecar.cli.document import Document
from agora_sidecar.process.readiness import HealthMetrics
from agora_sidecar.process.secret import FILE_SUFFIX
from agora_sidecar.process.settings import Row, reference
from agora_sidecar.process.shape import variable
from receiver import webhook
from receiver.metrics import ReceiverMetrics
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.recordings.gateway_metrics import GatewayMetrics
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.timetable import TimetableMetrics
from scheduler.trimming.metrics import TrimMetrics

METRICS: dict[str, tuple[type, ...]] = {
    "receiver": (ReceiverMetrics, HealthMetrics),
    "scheduler": (
        HealthMetrics,
        AllowlistMetrics,
        GatewayMetrics,
        RecordingMetrics,
        TimetableMetrics,
        TrimMetrics,
    ),
}
"""What each process counts."""

LEVELS = frozenset({"debug", "info", "warning", "error", "exception"})
PACKAGES = (agora_sidecar, receiver, scheduler)


class LogEvent(NamedTuple):
    """One log event at one place; a field `…` stands for fields that are put together there."""

    event: str
    level: str
    fields: tuple[str, ...]
    module: str


def render() -> str:
    """The whole document, as Markdown."""
    parts = (
        "# Reference",
        _INTRODUCTION,
        *("## Commands", _table(("command", "what it does"), _commands())),
        *("## Settings", _SETTINGS, *_settings()),
        *("## Answers of the public port", _docstring_table(webhook), _ANSWERS),
        _table(("status", "`outcome`"), sorted(refusals())),
        *("## Redis keys", _KEYS, _docstring_table(keys)),
        *("## Metrics", _METRICS, *_metrics()),
        *("## Log events", _EVENTS, _table(("event", "level", "fields", "module"), _events())),
    )
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """\
Written by `python -m agora_sidecar.cli.reference > docs/reference.md`, from the code.
A test compares: change the code, render again."""

_SETTINGS = """\
One TOML file and the environment; the environment wins. Where a default is empty, there is none.
A secret may stand in a file that its name with `_file` at its end names (`…_FILE`).
What stands in a list can only be given in the file, or the whole list as JSON."""

_ANSWERS = """\
Each answer is a JSON object with the one field `status`, which is the word in the table.
Why something was refused is for the operator alone, as the metric's label `outcome`.
A signature is `missing`, `malformed`, `mismatch` or `stale`."""

_KEYS = "`ncs` is `[redis] prefix`. Readers in other languages may count on the public ones."

_METRICS = "A histogram `x` is exposed as `x_bucket`, `x_sum` and `x_count`."

_EVENTS = """\
One JSON object a line, with `event`, `level`, `timestamp` and the fields; `exception` is the level
`error` with a traceback. `…` stands for fields that depend on what happened."""


def metrics(kind: type) -> Iterator[MetricWrapperBase]:
    """The metrics that an object of this class makes."""
    for value in vars(kind(CollectorRegistry())).values():
        if isinstance(value, MetricWrapperBase):
            yield value


def log_events() -> list[LogEvent]:
    """Every log event in the sources, in the order of their names.

    Raises:
        ValueError: an event's name is not written where it is logged.
    """
    found = {event for path, module in modules() for event in logged(path, module)}
    return sorted(found)


def refusals() -> set[tuple[str, str]]:
    """Status and outcome of every refusal in the receiver's handler."""
    tree = ast.parse(Path(webhook.__file__).read_text(encoding="utf-8"))
    return {
        (str(status), f"`{reason}`")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id == "Refusal"
        if (status := _constant(node.args[0])) and (reason := _constant(node.args[1]))
    }


def commands(group: Any = None, *, path: str = "agora-sidecar") -> Iterator[tuple[str, str]]:
    """Every command as it is typed, and its whole help text; of all groups if none is given."""
    known: Any = group or get_command(application())
    for name, command in known.commands.items():
        typed = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, path=typed)
        else:
            yield typed, command.help or ""


def _commands() -> Iterator[tuple[str, ...]]:
    for typed, text in commands():
        yield f"`{typed}`", text.partition("\n\n")[0].replace("\n", " ")


def _settings() -> Iterator[str]:
    tables: dict[str, list[Row]] = {}
    for row in reference(Document):
        table, dot, _ = row.path.partition(".")
        tables.setdefault(table.partition("[")[0] if dot or "[" in table else "", []).append(row)
    for table, rows in tables.items():
        yield f"### {f'`[{table}]`' if table else 'Outside of any table'}"
        heads = ("setting", "environment", "written as", "default", "what it says")
        yield _table(heads, map(_setting, rows))


def _setting(row: Row) -> tuple[str, ...]:
    name = "" if "[" in row.path else f"`{variable(tuple(row.path.split('.')))}`"
    if name and row.type == "secret":
        name += f", `…{FILE_SUFFIX.upper()}`"
    default = f"`{row.default}`" if row.default else ""
    return f"`{row.path}`", name, row.type, default, row.description


def _metrics() -> Iterator[str]:
    for process, kinds in METRICS.items():
        yield f"### Of the {process}"
        heads = ("metric", "type", "labels", "what it says")
        yield _table(heads, (_metric(found) for kind in kinds for found in metrics(kind)))


def _metric(metric: MetricWrapperBase) -> tuple[str, ...]:
    family = next(iter(metric.describe()))
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - nothing public tells
    return f"`{name}`", family.type, labels, family.documentation


def _events() -> Iterator[tuple[str, ...]]:
    for event, level, fields, module in log_events():
        shown = ", ".join(field if field == "…" else f"`{field}`" for field in fields)
        yield f"`{event}`", level, shown, f"`{module}`"


def modules() -> Iterator[tuple[Path, str]]:
    """Every source file that ships, and the module it is."""
    for package in PACKAGES:
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            yield path, ".".join(parts).removesuffix(".__init__")


def logged(path: Path, module: str) -> Iterator[LogEvent]:
    """The log events of one source file. Raises ValueError as `log_events`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # `say = log.error if … else log.info` gives the call another name
    aliases = {
        target.id: levels
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and (levels := _levels(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        alias = aliases.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if levels := alias or _levels(node.func):
            for event in _names(node, module):
                yield LogEvent(event, " or ".join(sorted(levels)), _fields(node), module)


def _levels(node: ast.expr) -> set[str]:
    """The levels of `log.info`, or of a choice between such; empty for anything else."""
    if isinstance(node, ast.IfExp):
        return _levels(node.body) | _levels(node.orelse)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {node.attr} & LEVELS if node.value.id == "log" else set()
    return set()


def _names(call: ast.Call, module: str) -> Iterator[str]:
    first = call.args[0] if call.args else None
    for choice in _choices(first):
        name = _constant(choice)
        if not isinstance(name, str):
            where = f"{module}, line {call.lineno}"
            raise ValueError(f"{where}: the event's name is not written there")  # noqa: TRY004
        yield name


def _choices(node: ast.expr | None) -> list[ast.expr | None]:
    if isinstance(node, ast.IfExp):
        return [*_choices(node.body), *_choices(node.orelse)]
    return [node]


def _fields(call: ast.Call) -> tuple[str, ...]:
    named = dict.fromkeys(word.arg or "…" for word in call.keywords if word.arg != "exc_info")
    return tuple(sorted(named, key=lambda name: name == "…"))


def _constant(node: ast.expr | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _docstring_table(module: Any) -> str:
    return "\n".join(line for line in module.__doc__.splitlines() if line.startswith("|"))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in lines)


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - this is what it is for
