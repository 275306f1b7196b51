"""Which additions wait for a second answer: a list that explodes, or never stands still. Pure.

A list that is exchanged once a day is what the vendor promises, so a part of change says nothing;
old addresses stay through their grace. What waits is admitted when another host says the same, or
the same host twice more, or the operator; nobody is taken away by an answer of which some waits.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import sha256

from scheduler.allowlist.addresses import Address, Book, Held, in_order, turned_over

FEW = 4
"""A list shorter than this counts as this long: from one address to five is no explosion."""
SAME_HOST = 3
"""Answers of one host alone that are as good as two hosts: the other one may be gone for days."""


@dataclass(frozen=True, slots=True)
class Oddities:
    """When an answer is odd: a list so many times as long, so many turnovers in one grace."""

    growth: float = 4.0
    turnovers: int = 3


@dataclass(frozen=True, slots=True)
class Considered:
    """Who of an answer is admitted now, and what waits."""

    listed: tuple[Address, ...]
    held: Held | None = None


def consider(
    book: Book, listed: Collection[Address], *, host: str, now: float, limits: Oddities
) -> Considered:
    """Which addresses of this answer count at once."""
    new = in_order(a for a in listed if a not in book.entries)
    why = why_odd(book, listed, limits=limits) if new else ""
    if not why:
        return Considered(tuple(listed))
    held = _agreed(book.held, new)
    if held is None:
        held = Held(_name(new, now), new, why, host, now)
    elif held.answers >= SAME_HOST or host != held.host:
        return Considered(tuple(listed))
    return Considered(tuple(a for a in listed if a in book.entries), held)


def why_odd(book: Book, listed: Collection[Address], *, limits: Oddities) -> str:
    """What is odd about this answer, with its numbers; empty if nothing is."""
    before = len(book.active)
    if before and len(listed) > limits.growth * max(before, FEW):
        return f"growth: {len(listed)} addresses after {before}; the limit is {limits.growth:g} x"
    if turned_over(book, listed) and len(book.turnovers) >= limits.turnovers:
        many = len(book.turnovers) + 1
        return f"flapping: {many} whole exchanges in one grace; the limit is {limits.turnovers}"
    return ""


def _agreed(held: Held | None, new: Collection[Address]) -> Held | None:
    """What was held, if this answer says the same."""
    if held is None or not set(new) <= set(held.addresses):
        return None
    return replace(held, answers=held.answers + 1)


def _name(new: Collection[Address], now: float) -> str:
    """Of this occasion alone: a word of the operator's for one says nothing about the next."""
    return sha256(f"{now} {' '.join(map(str, new))}".encode()).hexdigest()[:12]
