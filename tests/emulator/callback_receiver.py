"""The other side of the callbacks: writes down what comes, answers what it is told."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from agora_sidecar.agora.signatures import SigningSecret, verify

SECRET = "callback-secret"


@dataclass(frozen=True)
class Arrival:
    body: bytes
    remote: str
    sha1: str
    sha256: str

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body)  # type: ignore[no-any-return]

    @property
    def event_type(self) -> int:
        return int(self.json["eventType"])

    @property
    def sequence(self) -> int:
        return int(self.json["payload"]["sequence"])


class CallbackReceiver:
    """Verifies every attempt; `answers` are for the attempts of each notice, then comes 200."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.forged = 0
        self.answers: Sequence[int] = ()
        self.attempts: Counter[str] = Counter()
        self.hang = False
        self._never = asyncio.Event()

    @property
    def event_types(self) -> list[int]:
        return [arrival.event_type for arrival in self.arrivals]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        secrets = [SigningSecret("test", SECRET.encode())]
        try:
            verify(request.headers, body, secrets, now=0.0)
            sha1_only = {k: v for k, v in request.headers.items() if k == "Agora-Signature"}
            verify(sha1_only, body, secrets, now=0.0, accept_sha1=True)
        except Exception:
            self.forged += 1
        self.arrivals.append(
            Arrival(
                body,
                request.remote or "",
                request.headers.get("Agora-Signature", ""),
                request.headers.get("Agora-Signature-V2", ""),
            )
        )
        if self.hang:
            await self._never.wait()
        return web.json_response({}, status=self._answer(self.arrivals[-1].json["noticeId"]))

    def _answer(self, notice_id: str) -> int:
        attempt = self.attempts[notice_id]
        self.attempts[notice_id] += 1
        return self.answers[attempt] if attempt < len(self.answers) else 200

    def release(self) -> None:
        self._never.set()
