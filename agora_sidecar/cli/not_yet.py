"""What the settings can say and this version cannot do. Refused, so that nobody counts on it.

Whoever builds one of these deletes its line here. (Kinds of allow-list targets are not here: one
that has no settings class is refused by the document itself.)
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from agora_sidecar.process.shape import Path

if TYPE_CHECKING:
    from agora_sidecar.cli.document import Document


def not_yet(document: "Document") -> Iterator[tuple[Path, str]]:
    """Each setting that asks for what is not built: its path, and what to write instead."""
    usual = _usual(document)
    rules: tuple[tuple[Path, object, str], ...] = (
        (("gateway", "validate"), not usual("gateway", "validation"), "the vendor's paths"),
    )
    for path, asked, what in rules:
        if asked:
            yield path, f"not in this version: {what}"


def _usual(document: "Document") -> Callable[[str, str], bool]:
    """Whether a setting stands at its default, which promises nothing that is not there."""

    def usual(section: str, name: str) -> bool:
        values = getattr(document, section)
        return bool(getattr(values, name) == getattr(type(values)(), name))

    return usual
