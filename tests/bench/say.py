"""What a person reads while it runs and after: progress lines and tables."""

import sys
from collections.abc import Sequence


def say(text: str) -> None:
    """A progress line."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a program for people


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, as wide as its longest cells; the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        parts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(parts)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), f"| {' | '.join(rule)} |", *map(line, rows)])
