"""Recordings and their timelines for people: colours and a table in a terminal, lines elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {
    "event": "cyan",
    "query": "blue",
    "stop": "yellow",
    "decision": "bold magenta",
    "gap": "bold red",
}
BAD = {"not_found", "abnormal", "fatal", "refused", "unknown"}
_COLUMNS = ("started", "sid", "state", "channel", "silent", "")
_PLAIN = {"timeline", "evidence", "lanes", "streams", "next", "files", "sid", "trail"}
"""What `show` draws itself, or leaves to --json."""


def list_recordings(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """A table, or one line for each where it is read by programs."""
    rows = [_row(one) for one in found]
    if not console.is_terminal:
        for row in rows:
            _line(console, "  ".join(part for part in row if part))
        return
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_recording(console: Console, shown: Mapping[str, Any]) -> None:
    """What is known, then what happened."""
    _line(console, Text(str(shown["sid"]), style="bold"))
    for name, value in shown.items():
        if name not in _PLAIN and value not in (None, "", [], (), False, 0):
            _line(console, f"{name}: {_plain(value)}")
    for file in shown["files"]:
        _line(console, f"file: {file['fileName']}")
    for lane in shown["lanes"]:
        if lane["lost"]:
            still = f", still missing {_plain(lane['missing'])}" if lane["missing"] else ""
            _line(console, f"gaps: {lane['lost']} of serviceType {lane['service']}{still}")
    for note in shown["timeline"]:
        _line(console, timeline_line(note))
    ahead = shown["next"]
    if ahead["withheld"]:
        _line(console, f"  would {ahead['withheld']}")
    if not shown["closedReason"]:
        _line(console, Text(f"  {ahead['at'] or 'then':<29}  next      {ahead['do']}", "dim"))


def timeline_line(note: Mapping[str, Any]) -> Text:
    """One note of the axis: when, of what kind, what, and how it was read."""
    kind = str(note["kind"])
    text = Text(f"  {note['at'] or '?':<29}  ")
    text.append(f"{kind:<8}", COLOURS.get(kind, ""))
    reading = note.get("reading", "")
    text.append(f"  {note['what'] or reading}", "red" if reading in BAD else "")
    if reading:
        text.append(f"  [{reading}]", "dim")
    if "host" in note:
        text.append(f"  {note['host']}", "dim")
    if "count" in note:
        text.append(f"  ×{note['count']} until {note['until']}", "dim")
    return text


def watched_line(console: Console, note: Mapping[str, Any]) -> None:
    """A note as it comes."""
    _line(console, timeline_line(note))


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    silent = one["silentFor"]
    flags = [
        *(["unaskable"] if one["unaskable"] and not one["closedReason"] else []),
        *(["failing over"] if one["failingOver"] else []),
        *(["to be stopped"] if one["wanted"] == "stopped" and not one["closedReason"] else []),
        *([one["closedReason"]] if one["closedReason"] else []),
    ]
    return (
        str(one["startedAt"]),
        one["sid"],
        f"{one['state']:<9}",
        one["cname"],
        "" if silent is None else f"silent {silent:.0f}s",
        ", ".join(flags),
    )


def _line(console: Console, text: "str | Text") -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
