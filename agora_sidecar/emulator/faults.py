"""What goes wrong on demand: values and their rules, dice that fall the same way again (pure)."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

END = "end"
"""A mute that begins with the first event of a recording's end."""
ADDRESS_LISTS = (
    "normal",
    "empty",
    "html",
    "null",
    "numbers",
    "everything",
    "private",
    "duplicates",
    "thousands",
)
"""What the address list endpoint may answer; all but the first are odd."""
OF_NOTICES = ("lose", "duplicate", "reorder", "delay", "redundant")
OF_CALLS = ("fail", "incomplete", "throttle", "slow", "cut", "cut_late")
OF_RECORDINGS = ("backup", "slow_upload", "die", "failover", "playload")
PROBABILITIES = (*OF_NOTICES, *OF_CALLS, *OF_RECORDINGS)
MAX_SECONDS = 86_400.0
MAX_MUTES = 10_000


class FaultError(ValueError):
    """A fault that does not exist, or a value it cannot have; names field, rule and cure."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults in force. Probabilities are 0..1; durations the vendor's seconds.

    Per notice: `lose` (never sent), `duplicate` (sent again although it was acknowledged),
    `reorder` (others of its recording overtake it), `delay` (it comes late, by up to
    `delay_seconds`), `redundant` (it comes a second time on another path, as a notice of its own).

    Per API call: `fail` (5xx), `incomplete` (206 with code 65, done or not), `throttle` (429),
    `slow` (answered after `slow_seconds`), `cut` (the connection is closed, nothing done),
    `cut_late` (done, and closed without an answer).

    Per recording, decided at its start: `backup` (its files end in the vendor's backup cloud),
    `slow_upload` (longer than a stop waits), `die` (some time after it was accepted), `failover`
    (its worker is lost, and after a while another one goes on). `playload` is how often a stop of
    web mode misspells `payload` as the reference does.

    `addresses` is how the address list answers. `mute` loses, of a recording named by its sid or
    channel, everything after its n-th event, or from its end on (`"end"`).

    Raises:
        FaultError: a value against its rule.
    """

    lose: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 60.0
    redundant: float = 0.0
    fail: float = 0.0
    incomplete: float = 0.0
    throttle: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 12.0
    cut: float = 0.0
    cut_late: float = 0.0
    backup: float = 0.0
    slow_upload: float = 0.0
    die: float = 0.0
    failover: float = 0.0
    playload: float = 0.0
    addresses: str = "normal"
    mute: Mapping[str, int | str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in PROBABILITIES:
            _demand_number(name, getattr(self, name), upper=1.0)
        for name in ("delay_seconds", "slow_seconds"):
            _demand_number(name, getattr(self, name), upper=MAX_SECONDS)
        if self.addresses not in ADDRESS_LISTS:
            raise FaultError(
                f"addresses: {self.addresses!r} is unknown; use one of {', '.join(ADDRESS_LISTS)}"
            )
        _demand_mute(self.mute)

    def mutes(self, names: tuple[str, ...], *, ordinal: int, ending: bool) -> bool:
        """Whether a recording's event (counted from 1) is silenced; `names` are sid and channel."""
        for name in names:
            rule = self.mute.get(name)
            if rule == END and ending:
                return True
            if isinstance(rule, int) and ordinal > rule:
                return True
        return False


def changed(faults: Faults, changes: Mapping[str, Any]) -> Faults:
    """The same faults with some of them set anew.

    Raises:
        FaultError: an unknown name or a value against its rule; nothing is changed then.
    """
    known = [f.name for f in fields(Faults)]
    for name in changes:
        if name not in known:
            raise FaultError(f"{name}: no such fault; use one of {', '.join(known)}")
    return replace(faults, **changes)


def read_fault(text: str) -> tuple[str, Any]:
    """`lose=0.1`, `addresses=empty`, `mute=room1:3` or `mute=room1:end` as name and value.

    Raises:
        FaultError: not of that form; whether name and value are right is for `changed` to say.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise FaultError(f"{text}: not of the form name=value, such as lose=0.1")
    if name == "addresses":
        return name, value
    if name == "mute":
        recording, _, since = value.rpartition(":")
        return name, {recording: int(since) if _is_count(since) else since}
    try:
        return name, float(value)
    except ValueError:
        raise FaultError(f"{name}: {value!r} is not a number, such as 0.1") from None


def read_faults(texts: list[str]) -> Faults:
    """Several `name=value` at once; several mutes add up.

    Raises:
        FaultError: the first one that is wrong.
    """
    faults = Faults()
    for name, value in map(read_fault, texts):
        faults = changed(faults, {name: {**faults.mute, **value} if name == "mute" else value})
    return faults


def shown(faults: Faults) -> dict[str, Any]:
    """All faults as a JSON object."""
    values = {f.name: getattr(faults, f.name) for f in fields(Faults)}
    return {**values, "mute": dict(faults.mute)}


def dice(seed: int, *what: object) -> random.Random:
    """Random decisions about one thing: they depend on the seed and its name, never on timing."""
    return random.Random(":".join(map(str, (seed, *what))))  # noqa: S311 - repeatable, no secret


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _demand_number(name: str, value: object, *, upper: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= upper:
        raise FaultError(f"{name}: {value!r} is not a number from 0 to {upper:g}; 0 turns it off")


def _demand_mute(mute: object) -> None:
    form = 'give an object such as {"room1": 3} or {"room1": "end"}'
    if not isinstance(mute, Mapping):
        raise FaultError(f"mute: {mute!r} is not an object; {form}")
    if len(mute) > MAX_MUTES:
        raise FaultError(f"mute: more than {MAX_MUTES} recordings; {form}")
    for name, rule in mute.items():
        count = isinstance(rule, int) and not isinstance(rule, bool) and rule >= 0
        if not name or not (count or rule == END):
            raise FaultError(
                f'mute: {rule!r} for {name!r} is no number of events from 0 on nor "end"; {form}'
            )
