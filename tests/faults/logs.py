"""What a receiver's log must not contain: tracebacks, and lines that are no JSON (pure)."""

import json
from collections.abc import Iterable

BUGS = frozenset({"bug", "odd"})
"""Kinds of failure that the receiver itself calls a mistake of ours."""
ABORTED = "Fatal Python error: Aborted"
"""Where the threads' stacks of a process that we ended begin."""


def bugs(text: str) -> list[str]:
    """The lines that tell of a bug.

    The last line of a process that was killed may have been cut.
    """
    whole, _, _ = text.partition(ABORTED)[0].rpartition("\n")
    return [line[:2000] for line in _wrong(whole.splitlines())]


def _wrong(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict) or "exception" in said or said.get("kind") in BUGS:
            yield line
