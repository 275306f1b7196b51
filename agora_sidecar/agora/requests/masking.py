"""Bodies as they may be shown: what holds a secret by its name is masked, wherever it stands."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from agora_sidecar.agora.requests.bodies import StartClientRequest
from agora_sidecar.agora.requests.check import folded
from agora_sidecar.agora.requests.table import names

MASK = "***"


def masked(value: Any) -> Any:
    """The same value; keys in another case are known, as it is what a mistake looks like."""
    if isinstance(value, Mapping):
        return {
            name: MASK if folded(str(name)) in _secrets() and inner else masked(inner)
            for name, inner in value.items()
        }
    return [masked(entry) for entry in value] if isinstance(value, list | tuple) else value


@cache
def _secrets() -> frozenset[str]:
    return frozenset(_named())


def _named() -> Iterator[str]:
    for path, found in names(StartClientRequest):
        if found.secret:
            yield folded(path.rpartition(".")[2])
