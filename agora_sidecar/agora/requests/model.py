"""Models of bodies: what the reference's tables say, read off typed fields once.

A field is its property: the name on the wire, the JSON type, required where it has no default, and
what its annotation carries. Rules over several properties of one object stand in `TOGETHER`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints

import msgspec

from agora_sidecar.agora.recordings import MODES
from agora_sidecar.agora.requests.rules import SECRET, Also, In, Kinds, Needed, Rule


@dataclass(frozen=True, slots=True)
class Together:
    """A rule over several properties of one object; `at` is the one that it speaks of.

    `broken` gets the object, whose inner types may be wrong: then it is not broken.
    """

    name: str
    at: str
    text: str
    broken: Callable[[Mapping[str, Any]], bool]
    modes: tuple[str, ...] = MODES


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One object of a body. What is None is not sent; secrets are not shown."""

    TOGETHER: ClassVar[tuple[Together, ...]] = ()

    def __repr__(self) -> str:
        """The fields that were given."""
        hidden = {found.field for found in properties(type(self)) if found.secret}
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        shown = [
            f"{name}={'***' if name in hidden else repr(value)}"
            for name, value in given.items()
            if value is not None
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value is in JSON: a scalar, a model, one of several models, or an array of a shape."""

    kind: type
    rules: tuple[Rule, ...] = ()
    model: type[Model] | None = None
    kinds: Kinds | None = None
    item: "Shape | None" = None

    @property
    def text(self) -> str:
        """The rule of its type."""
        return f"must be {WITH_ARTICLE[self.kind]}"

    def fits(self, value: Any) -> bool:
        """Whether it has this type; a Boolean is no Number."""
        if self.kind is float:
            return type(value) in {int, float}
        return type(value) is self.kind


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an object: `field` in Python, `name` on the wire."""

    field: str
    name: str
    also: tuple[str, ...]
    shape: Shape
    required: bool
    modes: In | None
    needed: tuple[str, ...]
    secret: bool


NAMES: dict[type, str] = {
    str: "String",
    int: "Number",
    float: "Number",
    bool: "Boolean",
    dict: "Object",
    list: "Array",
    NoneType: "null",
}
WITH_ARTICLE: dict[type, str] = {
    str: "a String",
    int: "a whole Number",
    float: "a Number",
    bool: "a Boolean",
    dict: "an Object",
    list: "an Array",
}


@cache
def properties(model: type[Model]) -> tuple[Property, ...]:
    """The properties of a model, in the reference's order."""
    hints = get_type_hints(model, include_extras=True)
    return tuple(_property(field, hints[field.name]) for field in msgspec.structs.fields(model))


def _property(field: msgspec.structs.FieldInfo, annotation: Any) -> Property:
    marks = annotation.__metadata__ if get_origin(annotation) is Annotated else ()
    also = [mark.names for mark in marks if isinstance(mark, Also)]
    needed = [mark.modes for mark in marks if isinstance(mark, Needed)]
    modes = [mark for mark in marks if isinstance(mark, In)]
    return Property(
        field=field.name,
        name=field.encode_name,
        also=also[0] if also else (),
        shape=_shape(annotation),
        required=field.required,
        modes=modes[0] if modes else None,
        needed=needed[0] if needed else (),
        secret=SECRET in marks,
    )


def _shape(annotation: Any) -> Shape:
    rules: tuple[Any, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *marks = get_args(annotation)
        rules = tuple(marks)
    if get_origin(annotation) in {Union, UnionType}:
        [annotation, *_] = [arm for arm in get_args(annotation) if arm is not NoneType]
    values = tuple(rule for rule in rules if hasattr(rule, "holds"))
    kinds = next((mark for mark in rules if isinstance(mark, Kinds)), None)
    if kinds is not None:
        return Shape(dict, values, kinds=kinds)
    if get_origin(annotation) is Sequence:
        return Shape(list, values, item=_shape(get_args(annotation)[0]))
    if issubclass(annotation, Model):
        return Shape(dict, values, model=annotation)
    return Shape(annotation, values)
