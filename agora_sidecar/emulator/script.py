"""Answers in place of the vendor's, word for word: codes never seen, HTML, nothing (pure)."""

from collections import deque
from typing import Annotated

import msgspec
from msgspec import Meta

ENDPOINTS = ("acquire", "start", "query", "update", "updateLayout", "stop", "ncs_ip")
MAX_LINES = 1000
MAX_BODY = 64 * 1024


class Line(msgspec.Struct, rename="camel", kw_only=True):
    """One answer for the next `times` calls of an endpoint; `body` goes out as it is."""

    endpoint: str
    status: Annotated[int, Meta(ge=200, le=599)] = 200
    body: Annotated[str, Meta(max_length=MAX_BODY)] = ""
    content_type: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z.+-]+$")] = "application/json"
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class Script:
    """Lines waiting for their calls, in the order they were added."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=MAX_LINES)

    def add(self, line: Line) -> None:
        """One more; the oldest goes when there are too many."""
        self._lines.append(line)

    def clear(self) -> None:
        """Forget all of them."""
        self._lines.clear()

    def take(self, endpoint: str) -> Line | None:
        """The answer for this call, if there is one."""
        line = next((line for line in self._lines if line.endpoint == endpoint), None)
        if line is not None:
            line.times -= 1
            if not line.times:
                self._lines = deque((one for one in self._lines if one is not line), MAX_LINES)
        return line
