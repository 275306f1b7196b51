"""The kinds of values that settings are made of: durations, sizes, addresses, instants, secrets.

Each is written as text by people, parsed here once, and shown again as text. Their errors name the
rule and never the value: what was written in the wrong place may be a secret.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from math import isclose
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BeforeValidator,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST = 3_650 * 86_400.0
"""Ten years, in seconds: longer is a slip of the pen, and overflows dates and Redis' TTLs."""
_LATEST = 253_402_300_799.0
"""The last second of the year 9999, in UTC: what is later cannot be shown."""
_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB)")
_HOST = re.compile(r"(?!-)[A-Za-z0-9.-]{1,253}")
_PORT = re.compile(r"[0-9]{1,5}")
_WEEK = 7 * 86_400


def written(text: str) -> Any:
    """A default in the notation that people write, which the documentation shows as it stands.

    Typed as anything: the model parses it like a value of the file.
    """
    return text


def duration(text: object) -> float:
    """Seconds of `500ms`, `90s`, `15m`, `2h`, `7d`; positive, at most ten years.

    Raises:
        ValueError: it is not one of these.
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('must be a duration in quotes with its unit, such as "500ms", "90s", "2h"')
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= _LONGEST:
        raise ValueError("must be a duration above zero and at most 3650d")
    return seconds


def duration_text(seconds: float) -> str:
    """The shortest writing of so many seconds; whole days only from a week up."""
    for unit, length in _SECONDS.items():
        count = round(seconds / length)
        if (unit != "d" or seconds >= _WEEK) and count and isclose(count * length, seconds):
            return f"{count}{unit}"
    return f"{seconds * 1000:.9f}".rstrip("0") + "ms"


def size(text: object) -> int:
    """Bytes of `512B`, `256KiB`, `1MiB`, `2GiB`.

    Raises:
        ValueError: it is not one of these.
    """
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('must be a size in quotes with its unit, such as "256KiB", "1MiB"')
    return int(found[1]) * _BYTES[found[2]]


def size_text(count: int) -> str:
    """So many bytes in the largest unit that divides them."""
    return next(f"{count // n}{unit}" for unit, n in _BYTES.items() if count % n == 0)


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on; port 0 lets the system choose. Prints as it is written."""

    host: str
    port: int

    def __str__(self) -> str:
        """As it stands in the settings: an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def listen(text: object) -> Listen:
    """The address in `127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`.

    Raises:
        ValueError: it is not one of these.
    """
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65_535:
        raise ValueError('must be "host:port" with a port from 0 to 65535')
    if host.startswith("[") and host.endswith("]"):
        return Listen(_ipv6(host[1:-1]), int(port))
    if ":" in host:
        raise ValueError('must have its IPv6 address in brackets, such as "[::1]:8080"')
    if not _HOST.fullmatch(host):
        raise ValueError('must be "host:port"; for every interface write "0.0.0.0" or "[::]"')
    return Listen(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def instant(value: object) -> float:
    """Unix seconds of an RFC 3339 text or a TOML date-time, with its offset.

    Raises:
        ValueError: it is neither, or it does not say which time zone.
    """
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise ValueError("must be a date and time with its offset, such as 2026-11-01T00:00:00Z")
    seconds = found.timestamp()
    if not 0 <= seconds <= _LATEST:
        raise ValueError("must be a date from 1970 to 9999")
    return seconds


def instant_text(seconds: float) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError('must have an IPv6 address inside its brackets, such as "[::1]"') from None


def plain(value: object) -> object:
    """A text of one line without control characters; what is no text passes.

    NUL ends a string for the kernel, a line break ends one in a log or a generated file.

    Raises:
        ValueError: there is one.
    """
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("must not contain control characters")
    return value


def matching(pattern: str, rule: str) -> AfterValidator:
    """A check that a text is of a pattern, whole; `rule` says in words what it must be."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must be {rule}")
        return text

    return AfterValidator(check)


def _path(value: object) -> object:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a path in quotes")
    return Path(str(plain(value)))


def _or_off(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None or value == "" else parse(value)


def _schema(word: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": word})


def _shown(show: Callable[[Any], str]) -> PlainSerializer:
    return PlainSerializer(
        lambda value: "" if value is None else show(value), return_type=str, when_used="json"
    )


Text = Annotated[str, BeforeValidator(plain)]
"""One line of text."""

Count = Annotated[int, Strict()]
"""A whole number: neither text nor true or false."""

Number = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False)]
"""A number, whole or not."""

Flag = Annotated[bool, Strict()]
"""True or false, and nothing that looks like it."""

File = Annotated[
    Path, BeforeValidator(_path), _shown(str), WithJsonSchema({"type": "string", "format": "path"})
]
"""A path of this machine."""

OptionalFile = Annotated[
    Path | None, BeforeValidator(_or_off(_path)), _shown(str), _schema("path or empty")
]
"""A path of this machine; `None`, written "", is none."""

Duration = Annotated[float, BeforeValidator(duration), _shown(duration_text), _schema("duration")]
"""Seconds, written with a unit."""

OptionalDuration = Annotated[
    float | None,
    BeforeValidator(_or_off(duration)),
    _shown(duration_text),
    _schema("duration or empty"),
]
"""Seconds; `None`, written "", is off."""

Size = Annotated[int, BeforeValidator(size), _shown(size_text), _schema("size")]
"""Bytes, written with a unit."""

Address = Annotated[Listen, BeforeValidator(listen), _shown(str), _schema("host:port")]
"""Where to listen."""

OptionalAddress = Annotated[
    Listen | None, BeforeValidator(_or_off(listen)), _shown(str), _schema("host:port or empty")
]
"""Where to listen; `None`, written "", is nowhere."""

OptionalInstant = Annotated[
    float | None,
    BeforeValidator(_or_off(instant)),
    _shown(instant_text),
    _schema("date-time or empty"),
]
"""Unix seconds; `None`, written "", is no bound."""
