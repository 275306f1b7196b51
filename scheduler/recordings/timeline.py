"""What happened to one recording, on one axis: events, questions, stops, decisions, gaps. Pure.

Bounded: alike things in a row are one note with a count, and of many notes those of the beginning
and the latest are kept.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

FIRST = 6
"""Notes of the beginning that are kept: how it was started and confirmed."""
LATEST = 26
"""Notes of the present that are kept: a whole 404 patience and what led to it."""


class Kind(StrEnum):
    """What kind of thing happened."""

    EVENT = "event"
    """The vendor told by itself."""
    QUERY = "query"
    """It answered `query`, or did not."""
    STOP = "stop"
    """It answered `stop`, or did not."""
    DECISION = "decision"
    """We or an operator decided something."""
    GAP = "gap"
    """Notifications are missing, by their numbers; or came after all."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that happened at `at` (Unix seconds), or several alike until `until`.

    `reading` says how it was read as evidence, empty where it is none; `host` answered.
    """

    at: float
    kind: Kind
    what: str
    reading: str = ""
    host: str = ""
    count: int = 1
    until: float | None = None


Timeline = tuple[Note, ...]


def noted(timeline: Timeline, note: Note, *, alike: bool = False) -> Timeline:
    """The timeline with this note; joined to the last one if that says the same.

    `alike` joins also where only the words differ: such notes come by the hundred.
    """
    last = timeline[-1] if timeline else None
    if last is not None and _same(last, note, alike=alike):
        until = max(note.at, last.until or last.at)
        joined = replace(last, what=note.what, count=last.count + 1, until=until)
        return (*timeline[:-1], joined)
    grown = (*timeline, note)
    return grown if len(grown) <= FIRST + LATEST else grown[:FIRST] + grown[-LATEST:]


def _same(last: Note, note: Note, *, alike: bool) -> bool:
    same = (last.kind, last.reading, last.host) == (note.kind, note.reading, note.host)
    return same and (alike or last.what == note.what)
