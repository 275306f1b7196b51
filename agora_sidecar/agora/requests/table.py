"""Every rule of every body, for documents and tests: read off the models, never repeated."""

from collections.abc import Iterator
from dataclasses import dataclass

from agora_sidecar.agora.recordings import MODES
from agora_sidecar.agora.requests.model import Model, Property, Shape, properties


@dataclass(frozen=True, slots=True)
class Row:
    """One rule. `path` has `[]` for every entry of an array; `modes` are those that it is for."""

    path: str
    name: str
    text: str
    modes: tuple[str, ...] = MODES

    @property
    def id(self) -> str:
        """Names the rule among all of a body."""
        where = "" if self.modes == MODES else f" ({', '.join(self.modes)})"
        return f"{self.path}: {self.name}{where}"


def rows(
    model: type[Model],
    *,
    modes: tuple[str, ...] = MODES,
    leave_out: type[Model] | None = None,
) -> list[Row]:
    """The rules of a body in these modes; what is inside of `leave_out` stands elsewhere."""
    return [row for row in _of_model(model, "", leave_out) if {*row.modes} & {*modes}]


def names(model: type[Model]) -> Iterator[tuple[str, Property]]:
    """Every property at every depth: its path, with the property."""
    for found in properties(model):
        yield found.name, found
        for inner, path in _inner(found.shape, found.name):
            for name, deeper in names(inner):
                yield f"{path}.{name}", deeper


def _inner(shape: Shape, path: str) -> Iterator[tuple[type[Model], str]]:
    if shape.item is not None:
        yield from _inner(shape.item, f"{path}[]")
    if shape.model is not None:
        yield shape.model, path
    for _, model in shape.kinds.models if shape.kinds else ():
        yield model, path  # type: ignore[misc]


def _of_model(model: type[Model], path: str, leave_out: type[Model] | None) -> Iterator[Row]:
    for found in properties(model):
        at = f"{path}{found.name}"
        yield from _of_property(found, at)
        for inner, deeper in _inner(found.shape, at):
            if inner is not leave_out:
                yield from _of_model(inner, f"{deeper}.", leave_out)
    for rule in model.TOGETHER:
        yield Row(f"{path}{rule.at}", rule.name, rule.text, rule.modes)


def _of_property(found: Property, at: str) -> Iterator[Row]:
    if found.required:
        yield Row(at, "required", "is required")
    if found.needed:
        yield Row(at, "required", "is required", found.needed)
    if found.modes is not None:
        yield Row(at, "mode", found.modes.text)
    yield from _of_shape(found.shape, at)


def _of_shape(shape: Shape, at: str) -> Iterator[Row]:
    yield Row(at, "type", shape.text)
    for rule in shape.rules:
        yield Row(at, rule.name, rule.text, rule.modes)
    if shape.item is not None:
        yield from _of_shape(shape.item, f"{at}[]")
