"""What a target lacks: current, desired -> Plan. Pure, printable; a dry run is not applying it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256

from scheduler.allowlist.addresses import Address, in_order

LAST_MOMENT = 1.5
"""Seconds. A target that counts down by itself may end an address a moment before or after us."""

Wish = Mapping[Address, float | None]
"""Addresses to admit: None for ever, or for so many seconds from now."""


@dataclass(frozen=True, slots=True)
class Current:
    """What a target says it has. `form` is everything about it but the addresses, as one word."""

    admitted: Wish
    form: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One target's difference; `id` names exactly this change."""

    target: str
    add: tuple[Address, ...]
    retire: tuple[Address, ...]
    restore: tuple[Address, ...]
    remove: tuple[Address, ...]
    reshape: str

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.add or self.retire or self.restore or self.remove or self.reshape)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits, the same for the same change."""
        return sha256(str(self).encode()).hexdigest()[:12]

    def changes(self) -> dict[str, list[str]]:
        """Who comes, who leaves and how, as text."""
        return {
            "add": [str(address) for address in self.add],
            "retire": [str(address) for address in self.retire],
            "restore": [str(address) for address in self.restore],
            "remove": [str(address) for address in self.remove],
        }

    def __str__(self) -> str:
        """One line for each change, readable."""
        lines = [f"{self.target}:"]
        for verb, addresses in self.changes().items():
            lines += [f"  {verb} {address}" for address in addresses]
        if self.reshape:
            lines.append(f"  {self.reshape}")
        return "\n".join(lines if len(lines) > 1 else [f"{self.target}: nothing to do"])


def expressible(wish: Wish, *, timed: bool, versions: Collection[int] = (4, 6)) -> Wish:
    """The wish as a target can have it: one that keeps no time admits until told otherwise.

    `versions` are the families of addresses that have a place there.
    """
    return {a: left if timed else None for a, left in wish.items() if a.version in versions}


def plan(target: str, current: Current | None, wish: Wish, *, form: str) -> Plan:
    """The difference between what is there (None: nothing) and what should be.

    A remaining time that differs is no difference: the target counts it down by itself. Neither is
    an address in its last moment, which one of the two may have ended already.
    """
    there = current.admitted if current else {}
    kept = [address for address in wish if address in there]
    return Plan(
        target=target,
        add=in_order(a for a in wish if a not in there and not _ends_now(wish[a])),
        retire=in_order(a for a in kept if wish[a] is not None and there[a] is None),
        restore=in_order(a for a in kept if wish[a] is None and there[a] is not None),
        remove=in_order(a for a in there if a not in wish and not _ends_now(there[a])),
        reshape=_reshape(current, form),
    )


def _ends_now(left: float | None) -> bool:
    return left is not None and left < LAST_MOMENT


def _reshape(current: Current | None, form: str) -> str:
    if current is None:
        return f"make it, as {form}"
    return "" if current.form == form else f"change from {current.form} to {form}"
