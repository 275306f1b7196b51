"""The vendor's address list, as the client gives it: a body for each path, or an error."""

import json
from typing import Any

from agora_sidecar.agora.errors import RetryLaterError


def list_body(*values: Any, field: str = "primaryIP") -> bytes:
    """The vendor's body with these values."""
    return json.dumps({"data": {"service": {"hosts": [{field: v} for v in values]}}}).encode()


class AddressSource:
    """Answers with `bodies[path]`, otherwise with `body`; None is no answer at all."""

    def __init__(self, *values: Any) -> None:
        self.body: bytes | None = list_body(*values)
        self.bodies: dict[str, bytes | None] = {}
        self.asked: list[str] = []

    def say(self, *values: Any) -> None:
        self.body = list_body(*values)

    async def ncs_ip(self, path: str) -> bytes:
        self.asked.append(path)
        body = self.bodies.get(path, self.body)
        if body is None:
            raise RetryLaterError("ncs-ip", reason="told to fail")
        return body
