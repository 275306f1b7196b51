"""Values that nobody may read off a log, an error or a screen, and the files they may stand in."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema

from agora_sidecar.process.quantities import plain
from agora_sidecar.process.text_file import read_text

MASK = "********"
FILE_SUFFIX = "_file"
"""A secret `token` may stand in the file that `token_file` names."""

_LARGEST = 64 * 1024
_PASSWORD_PARAMETER = re.compile(r"([^&=]*password[^&=]*)=[^&]*", re.IGNORECASE)


class Secret(SecretStr):
    """A text that prints as stars; empty when none was given, and then prints as nothing."""

    def _display(self) -> str:
        return MASK if self.get_secret_value() else ""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Pydantic's own, after the value was fetched from where it stands."""
        inner = super().__get_pydantic_core_schema__(source, handler)
        shown = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_before_validator_function(_fetched, inner, serialization=shown)


class SecretUrl(Secret):
    """An address whose password prints as stars; the rest of it is shown."""

    def _display(self) -> str:
        try:
            parts = urlsplit(self.get_secret_value())
        except ValueError:
            return MASK
        user, at, host = parts.netloc.rpartition("@")
        name, colon, _ = user.partition(":")
        masked = f"{name}{colon}{MASK if colon else ''}{at}{host}"
        query = _PASSWORD_PARAMETER.sub(rf"\1={MASK}", parts.query)
        shown = urlunsplit(parts._replace(netloc=masked, query=query))
        # of a socket's address it takes the slashes away: nobody could connect to what is shown
        return shown.replace("unix:/", "unix:///", 1) if not parts.netloc else shown


def _not_empty(value: Secret) -> Secret:
    if not value.get_secret_value():
        raise ValueError("must not be empty")
    return value


GivenSecret = Annotated[Secret, AfterValidator(_not_empty)]
"""A secret that must be there."""


@dataclass(frozen=True, slots=True)
class _InFile:
    path: object


@dataclass(frozen=True, slots=True)
class _Twice:
    pass


@dataclass(frozen=True, slots=True)
class _Unread:
    pass


def from_files(table: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A copy of a table in which `<name>_file` stands under the name of its secret."""
    table = dict(table)
    for name in names:
        if name + FILE_SUFFIX in table:
            path = table.pop(name + FILE_SUFFIX)
            value = path if isinstance(path, _Unread) else _InFile(path)
            table[name] = _Twice() if name in table else value
    return table


def without_files(value: Any) -> Any:
    """A copy of a tree whose secret files are not to be opened: not this process's business."""
    if isinstance(value, list):
        return [without_files(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _Unread() if name.endswith(FILE_SUFFIX) else without_files(item)
        for name, item in value.items()
    }


def _fetched(value: object) -> object:
    match value:
        case _Twice():
            raise ValueError("is given both as a value and as a file; keep one of them")
        case _Unread():
            # Nobody knows it, so nobody could use it if it ever reached a place where it counts
            return secrets.token_hex(32)
        case _InFile(path):
            return plain(_content(path))
        case _:
            return plain(value)


def _content(path: object) -> str:
    # The path is not repeated: whoever put the secret itself there would find it in a log
    if not isinstance(path, str) or not path:
        raise ValueError("names no file")
    try:
        text = read_text(path, limit=_LARGEST)
    except ValueError as error:
        raise ValueError(f"cannot be read from its file: {error}") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("cannot be read from its file: the file is empty")
    return text
