"""What a settings model looks like from outside: its names, their kinds, the nearest to a typo."""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agora_sidecar.process.secret import FILE_SUFFIX, Secret

PREFIX = "SIDECAR_"

Path = tuple[str | int, ...]

_BRACKETS = re.compile(r"\[[^\]]*\]")
_WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false"}


class Row(NamedTuple):
    """One setting, as the documentation lists it; `default` is TOML, or empty where none is."""

    path: str
    type: str
    default: str
    description: str


def dotted(path: Path) -> str:
    """`sources[0].name` of its parts."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]


def variable(path: Path) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(str(part) for part in path).upper()


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a table by the names that people write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def find(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field at a path of tables; `None` where there is none, or a list is in between."""
    field = None
    table: type[BaseModel] | None = model
    for part in path:
        field = fields(table).get(str(part)) if table else None
        table = _table(field) if field else None
    return field


def _table(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def is_table(field: FieldInfo) -> bool:
    """Whether a field holds a table of settings."""
    return _table(field) is not None


def is_secret(field: FieldInfo) -> bool:
    """Whether a field holds a secret."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, Secret)


def is_list(field: FieldInfo) -> bool:
    """Whether a field holds a list."""
    return get_origin(field.annotation) in {tuple, list}


def secret_of(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The secret whose file a path names, `…_file`; `None` where it names none."""
    *tables, name = path
    field = find(model, (*tables, str(name).removesuffix(FILE_SUFFIX)))
    named = str(name).endswith(FILE_SUFFIX) and field is not None and is_secret(field)
    return field if named else None


def unknown(model: type[BaseModel], path: Path) -> str:
    """What to say of a setting that does not exist."""
    for length in range(1, len(path)):
        field = find(model, path[:length])
        if field is not None and is_list(field) and isinstance(path[length], str):
            return f"unknown setting; {dotted(path[:length])} is a list, give it as JSON"
    nearest = _nearest(model, path)
    return f"unknown setting; did you mean {nearest}?" if nearest else "unknown setting"


def _nearest(model: type[BaseModel], path: Path) -> str:
    where, name = _BRACKETS.sub("[]", dotted(path[:-1])), str(path[-1])
    names = sorted(set(_names(model)))
    siblings = [full.rpartition(".")[2] for full in names if full.rpartition(".")[0] == where]
    stem = name.removesuffix(FILE_SUFFIX)
    if close := [stem] if stem in siblings else difflib.get_close_matches(name, siblings, 1, 0.65):
        return dotted((*path[:-1], close[0]))
    elsewhere = [full for full in names if full.rpartition(".")[2] == name]
    whole = f"{where}.{name}" if where else name
    return next(iter(elsewhere or difflib.get_close_matches(whole, names, n=1, cutoff=0.8)), "")


def _names(model: type[BaseModel]) -> Iterator[str]:
    """Every dotted name there is: settings, their tables, the files of secrets."""
    for row in reference(model):
        path = _BRACKETS.sub("[]", row.path)
        yield path
        if row.type.startswith("secret"):
            yield path + FILE_SUFFIX
        while "." in path:
            path = path.rpartition(".")[0]
            yield path.removesuffix("[]")


def reference(model: type[BaseModel]) -> list[Row]:
    """Every setting of a document: its path, type, default and description, in their order.

    `[]` in a path is each item of a list, `[file]` each item of the kind `file`.
    """
    schema = model.model_json_schema()
    return list(_rows(schema, schema.get("$defs", {}), prefix=""))


def _rows(node: dict[str, Any], shapes: dict[str, Any], *, prefix: str) -> Iterator[Row]:
    for name, field in node["properties"].items():
        path = prefix + name
        if "$ref" not in field:
            default = json.dumps(field["default"]) if "default" in field else ""
            yield Row(path, _type(field), default, field.get("description", ""))
        for suffix, shape in _tables(field, shapes):
            yield from _rows(shape, shapes, prefix=f"{path}{suffix}.")


def _tables(field: dict[str, Any], shapes: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables in a field, each with what its path adds to the field's."""
    items = field.get("items", {})
    if "$ref" in field:
        yield "", _shape(field["$ref"], shapes)
    if "$ref" in items:
        yield "[]", _shape(items["$ref"], shapes)
    for kind, reference in items.get("discriminator", {}).get("mapping", {}).items():
        yield f"[{kind}]", _shape(reference, shapes)


def _shape(reference: str, shapes: dict[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any] = shapes[reference.rpartition("/")[2]]
    return shape


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "const" in field:
        return str(field["const"])
    if field.get("type") == "array":
        return f"list of {_items(field['items'])}"
    if field.get("format") == "password":
        return "secret"
    written = str(field.get("format", field.get("type", "table")))
    return _WORDS.get(written, written)


def _items(items: dict[str, Any]) -> str:
    word = _type(items)
    return f"{word}s" if word in {"table", "whole number"} else word
