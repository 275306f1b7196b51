"""The last things a process said in its log, for people who look at its page.

A step of the log's pipeline that passes everything on unchanged. What it keeps is bounded: so many
lines of each family (`allowlist` of `allowlist.applied`), each cut to a size.
"""

from collections import deque
from collections.abc import Collection, MutableMapping
from heapq import nlargest
from operator import itemgetter
from typing import Any

KEPT = 40
"""Lines of each family: a talkative one must not push out another's."""
FAMILIES = 32
FIELDS = 12
LONGEST = 300
"""Characters of a value."""
_PLAIN = (int, float, bool, type(None))
_APART = frozenset({"event", "level", "timestamp", "exc_info", "exception", "stack"})

Line = MutableMapping[str, Any]


class Recent:
    """Keeps what passes through, as structlog's processors are called; not the events `without`."""

    def __init__(self, *, without: Collection[str] = ()) -> None:
        self._without = frozenset(without)
        self._families: dict[str, deque[tuple[int, str, Line]]] = {}
        self._count = 0

    def __call__(self, _: Any, level: str, line: Line) -> Line:
        """Keep this line; give it on."""
        name = line.get("event")
        if name in self._without:
            return line
        self._keep(str(name).partition(".")[0], level, line)
        return line

    def last(self, families: Collection[str], *, most: int = KEPT) -> list[dict[str, Any]]:
        """The newest lines of these families, the newest first."""
        found = (kept for family in families for kept in self._families.get(family, ()))
        return [_told(*kept) for kept in nlargest(most, found, key=itemgetter(0))]

    def _keep(self, family: str, level: str, line: Line) -> None:
        if family not in self._families:
            if len(self._families) >= FAMILIES:
                return
            self._families[family] = deque(maxlen=KEPT)
        if "exc_info" in line:  # holds the frames of whoever failed
            line = {key: value for key, value in line.items() if key != "exc_info"}
        self._count += 1
        self._families[family].append((self._count, level, line))


def _told(number: int, level: str, line: Line) -> dict[str, Any]:
    others = [(key, value) for key, value in line.items() if key not in _APART]
    return {
        "number": number,
        "time": line.get("timestamp"),
        "level": level,
        "event": _short(line.get("event", "")),
        "details": {key: _short(value) for key, value in others[:FIELDS]},
    }


def _short(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_short(item) for item in list(value)[:FIELDS]]
    text = str(value).encode(errors="replace").decode()  # what no JSON can carry
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
