"""What one TOML file and the environment say, merged into one tree, and where each part came from.

No rule is applied here but those of the two notations: what may be written where is the models'.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agora_sidecar.process.secret import FILE_SUFFIX
from agora_sidecar.process.shape import (
    PREFIX,
    Path,
    dotted,
    find,
    is_list,
    is_table,
    secret_of,
    unknown,
)
from agora_sidecar.process.text_file import read_text

CONFIG = PREFIX + "CONFIG"
"""Names the file; the only variable with our prefix that is no setting."""

_LARGEST = 1 << 20
_INTEGER = re.compile(r"[+-]?[0-9][0-9_]{0,30}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,30}\.[0-9]{1,30}")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one value: the rule, the cure, and where the value came from."""

    path: Path
    text: str
    origin: str = ""

    def __str__(self) -> str:
        """One line; an empty part is left out."""
        return ": ".join(part for part in (self.origin, dotted(self.path), self.text) if part)


class Given:
    """The merged tree. The environment wins, key by key."""

    def __init__(self, file: str = "") -> None:
        self.tree: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._variables: dict[Path, str] = {}

    def origin(self, path: Path) -> str:
        """`environment NAME`, `file NAME` or `default`: where the value of a setting came from."""
        for length in range(len(path), 0, -1):
            if name := self._variable(path[:length]):
                return f"environment {name}"
        known = self._in_tree(path) or self._in_tree(_twin(path))
        return f"file {self._file}" if known else "default"

    def put(self, path: Path, value: Any, *, name: str) -> None:
        """Set a value that the variable `name` gives, in place of what the file says."""
        if earlier := self._variable(path):
            text = f"is given twice in the environment, also as {earlier}; keep one of them"
            self.problems.append(Problem(path, text, f"environment {name}"))
            return
        self._variables[path] = name
        table: Any = self.tree
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                return  # the file has no table here, which the model reports
        table.pop(_twin(path)[-1], None)
        table[path[-1]] = value

    def _variable(self, path: Path) -> str:
        return self._variables.get(path) or self._variables.get(_twin(path)) or ""

    def _in_tree(self, path: Path) -> bool:
        node: Any = self.tree
        for part in path:
            try:
                node = node[part]
            except (LookupError, TypeError):
                return False
        return True


def gather(model: type[BaseModel], *, file: str, environ: Mapping[str, str]) -> Given:
    """What a file (none: "") and the environment say about the settings of a model."""
    given = Given(file)
    if file:
        _read_file(given, file)
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG:
            _read_variable(given, model, name=name, text=environ[name])
    return given


def _twin(path: Path) -> Path:
    """The other way to give the same secret: its file for its value, its value for its file."""
    *tables, last = path
    name = str(last)
    other = name.removesuffix(FILE_SUFFIX) if name.endswith(FILE_SUFFIX) else name + FILE_SUFFIX
    return (*tables, other)


def _read_file(given: Given, file: str) -> None:
    try:
        given.tree = tomllib.loads(read_text(file, limit=_LARGEST))
    except tomllib.TOMLDecodeError as error:
        text = f"is not TOML: {error}"
    except RecursionError:
        text = "is nested too deeply"
    except ValueError as error:
        text = str(error)
    else:
        return
    given.problems.append(Problem((), text, f"file {file}"))


def _read_variable(given: Given, model: type[BaseModel], *, name: str, text: str) -> None:
    path: Path = tuple(name.removeprefix(PREFIX).lower().split("__"))
    try:
        if name != name.upper():
            raise ValueError(f"unknown setting; in the environment it is {name.upper()}")
        if secret_of(model, path):
            given.put(path, text, name=name)
            return
        field = find(model, path)
        if field is None:
            raise ValueError(unknown(model, path))
        value = _decoded(text, field)
    except ValueError as error:
        given.problems.append(Problem(path, str(error), f"environment {name}"))
        return
    # A table as JSON gives each of its keys, so that the file's others stay
    parts = value.items() if is_table(field) and isinstance(value, dict) else ()
    for key, part in parts:
        given.put((*path, key), part, name=name)
    if not parts:
        given.put(path, value, name=name)


def _decoded(text: str, field: FieldInfo) -> Any:
    """The value a variable's text stands for, where the field wants something other than text."""
    if is_list(field) or is_table(field):
        return _from_json(text)
    if field.annotation in {int, float} and _INTEGER.fullmatch(text):
        return int(text.rstrip("_").replace("__", "_"))
    if field.annotation is float and _DECIMAL.fullmatch(text):
        return float(text)
    if field.annotation is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    return text


def _from_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        # The parser's own message is of the notation; the text, which it keeps, may hold secrets
        where = f"{error.msg} at character {error.pos}"
    except RecursionError:
        where = "nested too deeply"
    except ValueError as error:
        where = str(error)
    raise ValueError(f"must be JSON: {where}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name is given twice in one table")
    return table


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
