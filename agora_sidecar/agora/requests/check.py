"""A body held against its model: everything that is wrong, at once; and the spelling that is sent.

What no model names is not looked at: it passes through.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agora_sidecar.agora.errors import Violation
from agora_sidecar.agora.requests.model import NAMES, Model, Property, Shape, properties

Modes = frozenset[str]
EMPTY: Mapping[str, Any] = {}


def violations(model: type[Model], value: Any, *, modes: Modes, path: str = "") -> list[Violation]:
    """Everything in this value that the model does not allow in any of these modes."""
    return list(_of_shape(Shape(dict, model=model), value, modes, path))


def spelled(model: type[Model], value: Any) -> Any:
    """The value with the wire's own name where another spelling was given; otherwise as it is."""
    if not isinstance(value, Mapping):
        return value
    changed = dict(value)
    for found in properties(model):
        for name in found.also:
            if name in changed and found.name not in changed:
                changed[found.name] = changed.pop(name)
        if found.name in changed:
            changed[found.name] = _spelled(found.shape, changed[found.name], changed)
    return changed


def _spelled(shape: Shape, value: Any, beside: Mapping[str, Any]) -> Any:
    if shape.item is not None and isinstance(value, list):
        return [_spelled(shape.item, entry, {}) for entry in value]
    model = _model(shape, beside)
    return value if model is None else spelled(model, value)


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    return NAMES.get(type(value), "Number")


def _of_shape(
    shape: Shape, value: Any, modes: Modes, path: str, *, beside: Mapping[str, Any] = EMPTY
) -> Iterator[Violation]:
    if not shape.fits(value):
        yield Violation(path or "body", shape.text, kind_of(value))
        return
    for rule in shape.rules:
        if modes <= set(rule.modes) and not _told(rule.holds, value, otherwise=True):
            yield Violation(path, rule.text, kind_of(value))
    if shape.item is not None:
        for number, entry in enumerate(value):
            yield from _of_shape(shape.item, entry, modes, f"{path}[{number}]")
    model = _model(shape, beside)
    if model is not None:
        yield from _of_object(model, value, modes, f"{path}." if path else "")


def _told(test: Callable[[Any], bool], value: Any, *, otherwise: bool) -> bool:
    """What a rule says; nothing where an inner type is wrong, which is told by itself."""
    try:
        return test(value)
    except TypeError:
        return otherwise


def _model(shape: Shape, beside: Mapping[str, Any]) -> type[Model] | None:
    if shape.kinds is None:
        return shape.model
    kind = beside.get(shape.kinds.by)
    return next((model for name, model in shape.kinds.models if name == kind), None)  # type: ignore[return-value]


def _of_object(
    model: type[Model], value: Mapping[str, Any], modes: Modes, path: str
) -> Iterator[Violation]:
    known = {name: found for found in properties(model) for name in (found.name, *found.also)}
    misspelt = dict(_misspelt(value, known))
    for name, right in misspelt.items():
        yield Violation(f"{path}{name}", f"must be written {right}", kind_of(value[name]))
    for found in properties(model):
        given = [name for name in (found.name, *found.also) if name in value]
        if given:
            yield from _of_property(found, given, value, modes=modes, path=path)
        elif _is_missing(found, modes) and found.name not in misspelt.values():
            yield Violation(f"{path}{found.name}", _required(found), "missing")
    seen = spelled(model, value)
    for rule in model.TOGETHER:
        if modes <= set(rule.modes) and _told(rule.broken, seen, otherwise=False):
            yield Violation(f"{path}{rule.at}", rule.text, _kind_at(seen, rule.at))


def _of_property(
    found: Property, given: list[str], value: Mapping[str, Any], *, modes: Modes, path: str
) -> Iterator[Violation]:
    name = given[0]
    kind = kind_of(value[name])
    if len(given) > 1:
        yield Violation(f"{path}{given[1]}", f"is given as {name} too", kind)
    if found.modes is not None and not modes & set(found.modes.modes):
        yield Violation(f"{path}{name}", found.modes.text, kind)
        return
    yield from _of_shape(found.shape, value[name], modes, f"{path}{name}", beside=value)


def _is_missing(found: Property, modes: Modes) -> bool:
    return found.required or bool(found.needed and modes <= set(found.needed))


def _required(found: Property) -> str:
    where = f" in {found.needed[0]} mode" if found.needed else ""
    return f"is required{where}"


def _misspelt(value: Mapping[str, Any], known: Mapping[str, Property]) -> Iterator[tuple[str, str]]:
    right_of = {folded(name): found.name for name, found in known.items()}
    for name in value:
        right = None if name in known else right_of.get(folded(name))
        if right is not None and right not in value:
            yield name, right


def folded(name: str) -> str:
    """A key without its case and underscores: what a mistaken one has in common with the right."""
    return name.lower().replace("_", "")


def _kind_at(value: Any, path: str) -> str:
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return "missing"
        value = value[name]
    return kind_of(value)
