"""Settings: one TOML file and the environment, read once, checked whole, all problems in one go.

A process describes its settings as sections (`Section`) in one document and calls `load`. Where a
value came from is remembered; what is wrong is said in one line each, and no line holds a value.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from agora_sidecar.process.advice import advice
from agora_sidecar.process.given import CONFIG, Given, Problem, gather
from agora_sidecar.process.secret import from_files, without_files
from agora_sidecar.process.shape import Path, Row, is_secret, reference, unknown, variable

__all__ = ["Check", "Loaded", "Row", "Section", "SettingsError", "load", "reference"]

_LONGEST_LINE = 500

_RULES = {
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be text in quotes",
    "string_unicode": "must be UTF-8 text",
    "int_type": "must be a whole number without quotes",
    "float_type": "must be a number without quotes",
    "bool_type": "must be true or false without quotes",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "is of a kind that is not in this version; use {expected_tags}",
    "union_tag_not_found": "needs its kind",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "value_error": "{error}",
}
"""Our words for pydantic's rules, which speak of Python types and of inputs."""


class SettingsError(Exception):
    """The settings cannot be used; `problems` are printable lines without any value of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(_printable(line) for line in problems)
        super().__init__("\n".join(self.problems))


class Section(BaseModel):
    """A closed, unchangeable table of settings; `…_file` names the file that a secret stands in."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        return from_files(table, [n for n, field in cls.model_fields.items() if is_secret(field)])


D = TypeVar("D", bound=Section)

Check = Callable[[D], Iterable[tuple[Path, str]]]
"""A rule over the whole document: what is wrong, each with the path of the setting to change."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[D]):
    """A valid document, and where its values came from."""

    document: D
    given: Given

    def origin(self, *path: str | int) -> str:
        """`environment NAME`, `file NAME` or `default`, for `origin("redis", "url")`."""
        return self.given.origin(path)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each setting that is allowed but unwise."""
        return advice(self.document)


def load(
    document: type[D],
    *,
    environ: Mapping[str, str],
    file: str = "",
    reads: frozenset[str] | None = None,
    checks: Iterable[Check[D]] = (),
) -> Loaded[D]:
    """Read, merge and check the settings.

    Args:
        document: the class of the whole document.
        environ: the environment, which wins over the file.
        file: the TOML file; "" means the one that `SIDECAR_CONFIG` names, if any.
        reads: the sections whose secret files are opened (`None`: all). A process opens its own
            only: it has no right to the others'. A secret of another section is unusable then.
        checks: rules over the whole document, applied once every value is valid by itself.

    Raises:
        SettingsError: everything that is wrong, at once.
    """
    given = gather(document, file=file or environ.get(CONFIG, ""), environ=environ)
    if any(not problem.path for problem in given.problems):
        raise SettingsError(map(str, given.problems))
    tree = {
        name: value if reads is None or name in reads else without_files(value)
        for name, value in given.tree.items()
    }
    found = _validated(document, tree, given=given)
    problems = found if isinstance(found, list) else _broken(found, checks)
    if isinstance(found, list) or problems or given.problems:
        # Not within a handler: the library's error knows the inputs, so it is not chained
        raise SettingsError(map(str, (*given.problems, *problems)))
    return found


def _validated(
    document: type[D], tree: Mapping[str, Any], *, given: Given
) -> Loaded[D] | list[Problem]:
    try:
        return Loaded(document.model_validate(tree), given)
    except ValidationError as error:
        return _invalid(document, error, given=given)


def _broken(loaded: Loaded[D], checks: Iterable[Check[D]]) -> list[Problem]:
    return [
        Problem(path, text, _known_origin(loaded.given, path))
        for check in checks
        for path, text in check(loaded.document)
    ]


def _invalid(document: type[Section], error: ValidationError, *, given: Given) -> list[Problem]:
    problems = []
    for detail in error.errors(include_url=False, include_input=False):
        path = _without_kinds(detail["loc"], given.tree)
        problems.append(Problem(path, _rule(document, detail, path), _known_origin(given, path)))
    return problems


def _rule(document: type[Section], detail: ErrorDetails, path: Path) -> str:
    if detail["type"] == "extra_forbidden":
        return unknown(document, path)
    if detail["type"] == "missing":
        in_list = any(isinstance(part, int) for part in path)
        return "is missing" if in_list else f"is missing; set it or {variable(path)}"
    template = _RULES.get(detail["type"])
    return template.format(**detail.get("ctx", {})) if template else detail["msg"]


def _known_origin(given: Given, path: Path) -> str:
    """Where a value came from; of a missing one, where the table that lacks it did."""
    for length in range(len(path), 0, -1):
        if (origin := given.origin(path[:length])) != "default":
            return origin
    return ""


def _without_kinds(location: Path, tree: Any) -> Path:
    """A path of the document: pydantic adds the kind of a union's member after its index."""
    path: list[str | int] = []
    node = tree
    for part in location:
        if (
            isinstance(node, dict)
            and path
            and isinstance(path[-1], int)
            and part == node.get("kind")
        ):
            continue
        path.append(part)
        try:
            node = node[part]
        except (LookupError, TypeError):
            node = None
    return tuple(path)


def _printable(line: str) -> str:
    """A line that is one line wherever it is printed, and not endless: names come from anywhere."""
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return escaped if len(escaped) <= _LONGEST_LINE else escaped[:_LONGEST_LINE] + " …"
