"""What a single value of a body must be: rules as values, each with its words."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from agora_sidecar.agora.recordings import MODES

SECRET = object()
"""Marks a value that no representation shows."""


class Rule(Protocol):
    """A demand on one value that has the right type, in these modes."""

    @property
    def name(self) -> str:
        """Names the rule in the table."""
        ...

    @property
    def text(self) -> str:
        """Goes on where the path of the value ends."""
        ...

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in which it is demanded."""
        ...

    def holds(self, value: Any) -> bool:
        """Whether this value is as demanded."""
        ...


@dataclass(frozen=True, slots=True)
class In:
    """The property is for these modes alone."""

    modes: tuple[str, ...]
    name = "mode"

    @property
    def text(self) -> str:
        """As the others'."""
        return f"is only for {words(self.modes, 'and')} mode"


@dataclass(frozen=True, slots=True)
class Needed:
    """The property is required in these modes, though not in all."""

    modes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Also:
    """Other spellings in use; what is sent is the property's own name."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """An object whose model follows from another property beside it."""

    by: str
    models: tuple[tuple[str, type[msgspec.Struct]], ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some values."""

    values: tuple[Any, ...]
    modes: tuple[str, ...] = MODES
    name = "one-of"

    @property
    def text(self) -> str:
        """As the others'."""
        shown = [f'"{value}"' if isinstance(value, str) else str(value) for value in self.values]
        return f"must be {'one of ' if len(shown) > 1 else ''}{words(shown, 'or')}"

    def holds(self, value: Any) -> bool:
        """Whether it is one of them."""
        return value in self.values


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, both included; no `high`: as large as you like."""

    low: float
    high: float | None = None
    modes: tuple[str, ...] = MODES
    name = "range"

    @property
    def text(self) -> str:
        """As the others'."""
        if self.high is None:
            return f"must be at least {self.low}"
        return f"must be from {self.low} to {self.high}"

    def holds(self, value: Any) -> bool:
        """Whether it is within."""
        return bool(self.low <= value and (self.high is None or value <= self.high))


@dataclass(frozen=True, slots=True)
class Bytes:
    """A text of at least one byte in UTF-8 and at most so many."""

    most: int
    modes: tuple[str, ...] = MODES
    name = "length"

    @property
    def text(self) -> str:
        """As the others'."""
        where = "" if self.modes == MODES else f" in {words(self.modes, 'or')} mode"
        return f"must have 1 to {self.most} bytes{where}"

    def holds(self, value: Any) -> bool:
        """Whether it fits."""
        return 0 < len(value.encode(errors="surrogatepass")) <= self.most


@dataclass(frozen=True, slots=True)
class Entries:
    """An array of so many entries."""

    most: int
    least: int = 0
    modes: tuple[str, ...] = MODES
    name = "entries"

    @property
    def text(self) -> str:
        """As the others'."""
        return f"must have {f'{self.least} to' if self.least else 'at most'} {self.most} entries"

    def holds(self, value: Any) -> bool:
        """Whether there are as many."""
        return self.least <= len(value) <= self.most


@dataclass(frozen=True, slots=True)
class That:
    """Anything that a function tells."""

    text: str
    test: Callable[[Any], bool]
    name: str = "form"
    modes: tuple[str, ...] = MODES

    def holds(self, value: Any) -> bool:
        """Whether the function says so."""
        return self.test(value)


def matching(
    pattern: str, text: str, *, name: str = "form", modes: tuple[str, ...] = MODES
) -> That:
    """The whole of a text matches."""
    compiled = re.compile(pattern)
    return That(text, lambda value: compiled.fullmatch(value) is not None, name=name, modes=modes)


def words(values: tuple[str, ...] | list[str], last: str) -> str:
    """As a sentence lists them."""
    *others, end = values
    return f"{', '.join(others)} {last} {end}" if others else end


def is_base64(size: int) -> Callable[[str], bool]:
    """Whether a text is the Base64 of so many bytes."""

    def test(value: str) -> bool:
        try:
            return len(base64.b64decode(value, validate=True)) == size
        except (binascii.Error, ValueError):
            return False

    return test


def is_uid(value: str) -> bool:
    """Whether a text holds an integer uid: 1 to 2**32 - 1."""
    plain = re.fullmatch(r"[1-9][0-9]{0,9}", value, re.ASCII)
    return plain is not None and int(value) < 2**32


UID = That("must be an integer from 1 to 4294967295, as a String", is_uid, name="uid")
SOME_TEXT = That("must not be empty", bool, name="empty")
WEB_ADDRESS = matching(r"https?://\S+", "must be a URL: http:// or https://", name="url")
STREAM_ADDRESS = matching(r"rtmps?://\S+", "must be a URL: rtmp:// or rtmps://", name="url")
