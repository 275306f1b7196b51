"""The fields of a JSON body, each with its rule; all that is wrong is found at once. Pure."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from agora_sidecar.agora.recordings import MODES
from agora_sidecar.process.quantities import duration, instant

_T = TypeVar("_T")
_R = TypeVar("_R")

_ID = re.compile(r"[A-Za-z0-9_=-]+")
"""resourceId is URL-safe base64 and sid hexadecimal; both become part of a URL and of a key."""

_UID = re.compile(r"[1-9][0-9]{0,9}")

MAX_SID = 128
MAX_RESOURCE_ID = 1024
MAX_FOLDERS = 32
"""Parts of `fileNamePrefix`; more than 128 characters in all are not allowed anyway."""
MAX_CNAME_BYTES = 1024
"""acquire.mdx: at most 1024 bytes; the narrower rules of some modes are the vendor's to apply."""
LONGEST = 366 * 86_400.0
"""Seconds; nobody records for longer than a year, and it would not fit dates."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the field, the rule it breaks, and what to do."""

    field: str
    rule: str
    cure: str


class RegistrationError(Exception):
    """Nothing was registered; `problems` are all that was found."""

    def __init__(self, problems: Collection[Problem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.rule}" for p in problems))
        self.problems = tuple(problems)


class RuleError(Exception):
    """A value breaks a rule; carries the rule and the cure."""

    def __init__(self, rule: str, cure: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.cure = cure


class Fields:
    """The body's fields, each taken once; collects what is wrong."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._left = dict(body)
        self._known: list[str] = []
        self.problems: list[Problem] = []

    def check_sid(self, sid: str) -> None:
        """The path's part, under the same rules as the fields."""
        if not (_ID.fullmatch(sid) and len(sid) <= MAX_SID):
            rule = f"1 to {MAX_SID} letters, digits, - or _"
            self.problems.append(Problem("sid", rule, "use the sid that start answered"))

    def text(self, name: str, rule: Callable[[str], str], *, default: str | None = None) -> str:
        """A required text, unless there is a default; empty when something is wrong with it."""
        value = self._take(name)
        if value is None and default is not None:
            return default
        if value is None:
            self.problems.append(Problem(name, "is required", f"add {name}"))
            return ""
        if not isinstance(value, str):
            self.problems.append(Problem(name, "is a string", "put it in quotation marks"))
            return ""
        return self._checked(name, value, rule) or ""

    def optional(self, name: str, rule: Callable[[Any], float]) -> float | None:
        """A number that may be left out; None too when something is wrong with it."""
        value = self._take(name)
        return None if value is None else self._checked(name, value, rule)

    def texts(self, name: str, rule: Callable[[str], str]) -> tuple[str, ...]:
        """A list of texts that may be left out; empty too when something is wrong with it."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            self.problems.append(Problem(name, "is a list of strings", f'write {name}: ["…"]'))
            return ()
        return tuple(self._checked(name, text, rule) or "" for text in value[:MAX_FOLDERS])

    def refuse_the_rest(self) -> None:
        """What nobody took is a problem: a misspelt name would otherwise be ignored."""
        for name in self._left:
            near = get_close_matches(name, self._known, n=1)
            cure = f"did you mean {near[0]}?" if near else "leave it out"
            self.problems.append(Problem(name[:64], "is not a field of a recording", cure))

    def _take(self, name: str) -> Any:
        self._known.append(name)
        return self._left.pop(name, None)

    def _checked(self, name: str, value: _T, rule: Callable[[_T], _R]) -> _R | None:
        try:
            return rule(value)
        except RuleError as error:
            self.problems.append(Problem(name, error.rule, error.cure))
            return None


def resource_id(value: str) -> str:
    """As acquire answers it: URL-safe base64, 230 to 330 characters in practice."""
    if not (_ID.fullmatch(value) and len(value) <= MAX_RESOURCE_ID):
        rule = f"1 to {MAX_RESOURCE_ID} letters, digits, -, _ or ="
        raise RuleError(rule, "use the resourceId that acquire answered")
    return value


def mode(value: str) -> str:
    """One of the modes in the vendor's paths."""
    if value not in MODES:
        raise RuleError("is one of " + ", ".join(MODES), "use the mode of the start call")
    return value


def cname(value: str) -> str:
    """A channel name, or in web mode a label."""
    if not 0 < len(value.encode(errors="replace")) <= MAX_CNAME_BYTES:
        rule = f"1 to {MAX_CNAME_BYTES} bytes"
        raise RuleError(rule, "use the cname given to acquire and start")
    return value


def uid(value: str) -> str:
    """The recorder's uid: a string that holds an unsigned 32-bit integer, not 0 (start.mdx)."""
    if not _UID.fullmatch(value) or int(value) > 2**32 - 1:
        rule = "an integer from 1 to 4294967295, as a string"
        raise RuleError(rule, "use the recorder's uid given to acquire and start")
    return value


def folder(value: str) -> str:
    """A part of `fileNamePrefix`: letters and digits (start.mdx)."""
    if not (value.isascii() and value.isalnum() and len(value) <= 128):
        raise RuleError("letters and digits", "use the fileNamePrefix given to start")
    return value


def container(value: str) -> str:
    """A kind of file in `avFileType`."""
    if value not in {"hls", "mp4"}:
        raise RuleError("is one of hls, mp4", "use the avFileType given to start")
    return value


def source(value: str) -> str:
    """The name of a configured source of notifications."""
    if not (_ID.fullmatch(value) and len(value) <= 64):
        raise RuleError("1 to 64 letters, digits, - or _", "use the name of a configured source")
    return value


def one_of(app_ids: Collection[str]) -> Callable[[str], str]:
    """One of the app ids that are served."""

    def rule(value: str) -> str:
        if value not in app_ids:
            raise RuleError("is an app id that is served here", "configure it under [agora]")
        return value

    return rule


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RuleError("is a number", "leave out the quotation marks")
    return float(min(max(value, -(2**63)), 2**63))


def within(least: int, most: int) -> Callable[[Any], float]:
    """A number from `least` to `most`."""

    def rule(value: Any) -> float:
        number = _number(value)
        if not least <= number <= most:
            raise RuleError(f"from {least} to {most}", "use the value given to acquire or start")
        return number

    return rule


def length(value: Any) -> float:
    """Seconds as a number, or text such as `90m`."""
    rule = RuleError("a positive duration", 'write seconds (5400) or a text such as "90m"')
    if isinstance(value, str):
        try:
            return duration(value)
        except ValueError:
            raise rule from None
    seconds = _number(value)
    if not 0 < seconds <= LONGEST:
        raise rule
    return seconds


def moment_until(latest: float) -> Callable[[Any], float]:
    """Unix seconds as a number, or RFC 3339; not after `latest`."""

    def rule(value: Any) -> float:
        broken = RuleError("a moment that is past", "write Unix seconds or 2026-11-23T08:00:00Z")
        try:
            at = instant(value) if isinstance(value, str) else _number(value)
        except ValueError:
            raise broken from None
        if not 0 < at <= latest:
            raise broken
        return at

    return rule
