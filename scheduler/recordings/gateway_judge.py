"""Whether a request goes out: held to the reference, and to the calls before it."""

from collections.abc import Iterator
from typing import Literal

import structlog

from agora_sidecar.agora import calls
from agora_sidecar.agora.errors import Violation
from agora_sidecar.agora.requests import BODIES, check
from agora_sidecar.process.clock import Clock
from scheduler.recordings import gateway_answers as say
from scheduler.recordings.gateway_answers import Answer
from scheduler.recordings.gateway_memory import Memory
from scheduler.recordings.gateway_requests import Incoming
from scheduler.recordings.gateway_ties import Ties, differing
from scheduler.recordings.session import Session

log = structlog.get_logger()

Validation = Literal["strict", "warn", "off"]


class RefusalError(Exception):
    """A request is answered here, and not sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


class Judge:
    """`validation` says what becomes of what is not allowed: refused, logged, or not looked at."""

    def __init__(
        self, *, ties: Ties, memory: Memory, clock: Clock, validation: Validation = "strict"
    ) -> None:
        self._ties = ties
        self._memory = memory
        self._clock = clock
        self._validation = validation

    @property
    def strict(self) -> bool:
        """Whether it refuses."""
        return self._validation == "strict"

    async def see(self, incoming: Incoming) -> None:
        """Hold it to the reference and to the calls before.

        Raises:
            RefusalError: it is not allowed.
        """
        if self._validation == "off":
            return
        answer = self._violations(incoming) or await self._contradiction(incoming)
        if answer is None:
            return
        if self._validation == "strict":
            raise RefusalError(answer)
        log.warning("gateway.allowed", call=incoming.name, why=answer.body.decode()[:1000])

    def _violations(self, incoming: Incoming) -> Answer | None:
        if incoming.name not in BODIES:
            return None
        found = check(incoming.name, incoming.body, mode=incoming.mode)
        return say.bad_request(found) if found else None

    async def _contradiction(self, incoming: Incoming) -> Answer | None:
        if incoming.name == calls.START:
            return self._ties.refuse_start(
                incoming.resource_id,
                mode=incoming.mode,
                body=incoming.body,
                now=self._clock.monotonic(),
            )
        session = await self._memory.of(incoming.sid) if incoming.sid else None
        if session is None or not session.registered:
            return None
        if incoming.resource_id != session.resource_id:
            return say.service(400, say.OTHER_SID, "sid must be one of this resourceId")
        if incoming.mode != session.mode:
            return say.bad_request([Violation("mode", f"must be {session.mode}", "String")])
        others = list(_others(incoming, session))
        return say.bad_request(others, code=say.OTHER_RESOURCE) if others else None


def _others(incoming: Incoming, session: Session) -> Iterator[Violation]:
    """What names the recorder otherwise than its start did; a query names none."""
    if incoming.method == "POST":
        yield from differing(incoming.body, cname=session.cname, uid=session.uid, told="start")
