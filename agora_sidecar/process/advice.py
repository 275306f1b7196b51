"""Values that are allowed and yet deserve a word at start: declared beside the field, read here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from agora_sidecar.process.quantities import duration, duration_text
from agora_sidecar.process.shape import Path, dotted


@dataclass(frozen=True, slots=True)
class Within:
    """A duration that had better be between two bounds, written as such, because of `reason`."""

    at_least: str = ""
    at_most: str = ""
    reason: str = ""

    def remark(self, value: Any) -> str:
        """What to say of a value; nothing where it is within, or off."""
        if value is None:
            return ""
        if self.at_least and value < duration(self.at_least):
            return f"{duration_text(value)} is less than {self.at_least}: {self.reason}"
        if self.at_most and value > duration(self.at_most):
            return f"{duration_text(value)} is more than {self.at_most}: {self.reason}"
        return ""


@dataclass(frozen=True, slots=True)
class Loud:
    """One value of a field that is said aloud whenever it is in force."""

    value: object
    reason: str

    def remark(self, value: Any) -> str:
        """What to say of a value; nothing where it is another."""
        return self.reason if value == self.value else ""


def advice(document: BaseModel) -> tuple[str, ...]:
    """A line for each setting that is allowed but unwise: its dotted path, and why."""
    return tuple(_remarks(document, ()))


def _remarks(node: Any, path: Path) -> Iterator[str]:
    if isinstance(node, tuple):
        for index, item in enumerate(node):
            yield from _remarks(item, (*path, index))
    if not isinstance(node, BaseModel):
        return
    for name, field in type(node).model_fields.items():
        value = getattr(node, name)
        for known in field.metadata:
            if isinstance(known, Within | Loud) and (remark := known.remark(value)):
                yield f"{dotted((*path, name))}: {remark}"
        yield from _remarks(value, (*path, name))
