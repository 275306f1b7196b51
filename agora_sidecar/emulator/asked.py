"""What the emulator was asked, as far back as there is room. For tests, and for who looks on."""

from collections import deque
from dataclasses import dataclass
from typing import Any

MAX_CALLS = 1000
MAX_BODY = 16 * 1024
MAX_ANSWER = 4 * 1024
MAX_PATH = 2048


@dataclass(frozen=True, slots=True)
class Call:
    """One call and its answer; `number` counts from 1, long bodies are cut."""

    number: int
    method: str
    path: str
    endpoint: str
    body: bytes
    status: int
    answer: bytes

    def shown(self) -> dict[str, Any]:
        """For a JSON answer."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "endpoint": self.endpoint,
            "body": self.body.decode(errors="replace"),
            "status": self.status,
            "answer": self.answer.decode(errors="replace"),
        }


class Asked:
    """The last calls of the vendor's paths, oldest first; the emulator's own are not among them."""

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self._number = 0

    def add(
        self, *, method: str, path: str, endpoint: str, body: bytes, status: int, answer: bytes
    ) -> None:
        """One more; the oldest goes when there are too many."""
        self._number += 1
        call = Call(
            number=self._number,
            method=method[:32],
            path=path[:MAX_PATH],
            endpoint=endpoint,
            body=body[:MAX_BODY],
            status=status,
            answer=answer[:MAX_ANSWER],
        )
        self.calls.append(call)

    def find(self, *, endpoint: str = "", sid: str = "", limit: int = MAX_CALLS) -> list[Call]:
        """The last of one endpoint, of one recording, or of all."""
        found = [
            call
            for call in self.calls
            if endpoint in {"", call.endpoint} and (not sid or f"/sid/{sid}/" in call.path)
        ]
        return found[-limit:] if limit else []
