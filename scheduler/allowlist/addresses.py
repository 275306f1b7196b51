"""The book of admitted addresses: active, then retiring for a grace time, then gone. Pure.

An address is active from the first good poll that has it. It retires only after `ABSENCES` good
polls in a row without it, and stays admitted for `grace` seconds more; it is active again at once
when it reappears. The last active address never retires. Grace is counted in seconds that passed,
not in dates: a clock that jumps back passes no time, and one that jumps ahead while we run none
either (the caller measures with a monotonic clock).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

Address = IPv4Address | IPv6Address

ABSENCES = 3
"""Good polls in a row without an address before it retires: one odd answer removes nothing."""
TURNOVERS = 32
"""Exchanges of the whole list that are remembered."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One address; times are Unix seconds. `grace_left` is None while it is active."""

    first_seen: float
    last_seen: float
    absences: int = 0
    grace_left: float | None = None

    @property
    def active(self) -> bool:
        """Whether it is on the vendor's list, as far as we believe."""
        return self.grace_left is None


@dataclass(frozen=True, slots=True)
class Held:
    """Additions of an odd answer that wait for a second one, or for the operator, to agree.

    `host` gave the answer first; `answers` counts those that agreed so far. `id` names it once.
    """

    id: str
    addresses: tuple[Address, ...]
    why: str
    host: str
    since: float
    answers: int = 1


@dataclass(frozen=True, slots=True)
class Book:
    """All admitted addresses; `revision` grows with every change of who is admitted and how.

    `turnovers` has an item for each exchange of the whole list: the seconds for which it counts.
    """

    entries: Mapping[Address, Entry] = field(default_factory=lambda: MappingProxyType({}))
    revision: int = 0
    last_good_poll: float | None = None
    turnovers: tuple[float, ...] = ()
    held: Held | None = None

    @property
    def active(self) -> tuple[Address, ...]:
        """The addresses that are active, in order."""
        return in_order(address for address, entry in self.entries.items() if entry.active)

    @property
    def retiring(self) -> Mapping[Address, float]:
        """The addresses in their grace time, and the seconds each has left."""
        return {
            address: entry.grace_left
            for address, entry in self.entries.items()
            if entry.grace_left is not None
        }


def observe(
    book: Book, listed: Collection[Address], *, now: float, grace: float, whole: bool = True
) -> Book:
    """The book after a good poll that named these addresses (at least one).

    Where the answer was not `whole` (some of it was refused), nobody is counted as absent.
    """
    entries = dict(book.entries)
    for address in listed:
        known = entries.get(address)
        entries[address] = Entry(known.first_seen if known else now, now)
    for address in entries.keys() - set(listed) if whole else ():
        entries[address] = _missed(entries[address], grace=grace)
    book = replace(book, last_good_poll=now)
    if turned_over(book, listed):
        book = replace(book, turnovers=(*book.turnovers, grace)[-TURNOVERS:])
    return _revised(book, entries)


def turned_over(book: Book, listed: Collection[Address]) -> bool:
    """Whether this answer names nobody of those who are active: the vendor does so once a day."""
    return bool(book.active) and not set(book.active) & set(listed)


def pass_time(book: Book, seconds: float) -> Book:
    """The book after so many seconds; those whose grace is over are gone."""
    if seconds <= 0 or not (book.retiring or book.turnovers):
        return book
    counting = tuple(left - seconds for left in book.turnovers if left > seconds)
    book = replace(book, turnovers=counting)
    entries = {}
    for address, entry in book.entries.items():
        left = entry.grace_left
        if left is None:
            entries[address] = entry
        elif left > seconds:
            entries[address] = replace(entry, grace_left=left - seconds)
    return _revised(book, entries)


def make_room(book: Book, listed: Collection[Address], *, limit: int) -> Book:
    """The book with at most `limit` addresses.

    Those with the least grace left go first, then those that were absent from most polls. Who is
    listed now never goes: a list that fits must always be admitted, however fast it rotates.
    """
    surplus = len(book.entries) - limit
    if surplus <= 0:
        return book
    gone = sorted(
        book.entries.keys() - set(listed),
        # the address itself settles a tie, so that every process decides alike
        key=lambda a: (_expendable(book.entries[a]), a.version, int(a)),
    )[:surplus]
    entries = {address: entry for address, entry in book.entries.items() if address not in gone}
    return _revised(book, entries)


def _expendable(entry: Entry) -> tuple[bool, float, int]:
    return entry.active, entry.grace_left or 0.0, -entry.absences


def _missed(entry: Entry, *, grace: float) -> Entry:
    if not entry.active:
        return entry
    absences = entry.absences + 1
    left = grace if absences >= ABSENCES else None
    return replace(entry, absences=absences, grace_left=left)


def restore(book: Book, earlier: Book) -> Book:
    """The book with the addresses of an earlier one, as a new revision."""
    return _revised(replace(book, held=None), dict(earlier.entries))


def without(book: Book, addresses: Collection[Address]) -> Book:
    """The book without these, and with nothing held if it held one of them."""
    held = book.held
    if held is not None and set(held.addresses) & set(addresses):
        held = None
    entries = {a: entry for a, entry in book.entries.items() if a not in addresses}
    return _revised(replace(book, held=held), entries)


def _revised(book: Book, entries: dict[Address, Entry]) -> Book:
    before = {address: entry.active for address, entry in book.entries.items()}
    after = {address: entry.active for address, entry in entries.items()}
    revision = book.revision + (before != after)
    return replace(book, entries=MappingProxyType(entries), revision=revision)


def in_order(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """IPv4 before IPv6, each by number."""
    return tuple(sorted(addresses, key=lambda address: (address.version, int(address))))
