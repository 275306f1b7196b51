"""What the vendor's side does to every call for a while."""

from dataclasses import dataclass, replace
from typing import Any

Answer = tuple[int, bytes]

INSTEAD: dict[str, Answer] = {
    "vendor finds no task": (404, b'{"code":404,"reason":"failed to find worker"}'),
    "vendor finds no task for long": (404, b'{"code":404,"reason":"failed to find worker"}'),
    "vendor fails": (504, b'{"code":62,"reason":"request timeout"}'),
    "vendor does not complete": (206, b'{"code":65,"reason":"request not completed"}'),
    "vendor says too fast": (429, b'{"message":"API rate limit exceeded"}'),
    "vendor is replaced by a page": (404, b"<html><body>404 Not Found</body></html>"),
}
FLAGS = {
    "vendor answers too late": "too_late",
    "answers are cut off": "cut_off",
    "first host is gone": "first_host_is_gone",
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds now; `instead` is answered to whatever is asked."""

    instead: Answer | None = None
    too_late: bool = False
    cut_off: bool = False
    first_host_is_gone: bool = False


class Weather:
    """`now` changes as disturbances begin and end."""

    def __init__(self) -> None:
        self.now = Conditions()

    def begin(self, kind: str) -> None:
        """This disturbance holds from now on."""
        self.now = replace(self.now, **_effect(kind, on=True))

    def end(self, kind: str) -> None:
        """It is over."""
        self.now = replace(self.now, **_effect(kind, on=False))


def _effect(kind: str, *, on: bool) -> dict[str, Any]:
    if kind in INSTEAD:
        return {"instead": INSTEAD[kind] if on else None}
    return {FLAGS[kind]: on}
