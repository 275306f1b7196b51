"""Calls to Agora about one recording, each answer or failure read as evidence and counted."""

from dataclasses import replace
from typing import Protocol

import structlog

from agora_sidecar.agora.errors import ApiError, CredentialsError, UnexpectedAnswerError
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.agora.replies import QueryReply, StopReply
from agora_sidecar.process.clock import Clock
from scheduler.recordings import evidence
from scheduler.recordings.corroboration import Corroboration
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.session import NO_ANSWER, Evidence, Reading, Session, Source

log = structlog.get_logger()


class Client(Protocol):
    """What is asked of Agora; `query` and `stop` raise `ApiError`."""

    async def query(self, recording: Recording, *, avoid: str = "") -> QueryReply:
        """What the vendor knows of it; from another host than `avoid` where there is one."""
        ...

    async def stop(self, recording: Recording, *, async_stop: bool = True) -> StopReply:
        """Let it end."""
        ...

    def has_answered(self, host: str) -> bool:
        """Whether this host has answered 200 for this account before."""
        ...


class Asker:
    """Asks and stops; what is answered about one recording is noted for the others."""

    def __init__(
        self,
        *,
        client: Client,
        clock: Clock,
        metrics: RecordingMetrics,
        corroboration: Corroboration,
    ) -> None:
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._corroboration = corroboration

    async def ask(self, session: Session, reason: str) -> Evidence:
        """Call `query`, and count why. The 404 of a host nobody knows is held against another's."""
        told = await self._asked(session, reason)
        if told.reading is Reading.NOT_FOUND and not told.trusted:
            second = await self._asked(session, reason, avoid=told.host)
            if second.reading is not Reading.NOT_FOUND:
                return told if second.reading in NO_ANSWER else second
            told = replace(second, trusted=second.trusted or second.host != told.host)
        return told

    async def _asked(self, session: Session, reason: str, *, avoid: str = "") -> Evidence:
        asked = self._clock.monotonic()
        try:
            reply = await self._client.query(_named(session), avoid=avoid)
            told = evidence.of_query(reply, at=self._clock.now())
        except ApiError as error:
            told = self._of_error(error, session, source=Source.QUERY)
        self._metrics.queries.labels(reason, told.reading.value).inc()
        self._corroboration.note(session, told, asked=asked)
        return told

    async def stop(self, session: Session, reason: str) -> Evidence:
        """Call `stop`, which is owed for this reason."""
        try:
            reply = await self._client.stop(_named(session), async_stop=True)
            told = evidence.of_stop(reply, at=self._clock.now())
        except ApiError as error:
            told = self._of_error(error, session, source=Source.STOP)
        self._metrics.stops.labels(reason, told.reading.value).inc()
        log.info(
            "recording.stop_called",
            sid=session.sid,
            reason=reason,
            tries=session.stop_tries + 1,
            answer=told.text,
            reading=told.reading.value,
        )
        return told

    def _of_error(self, error: ApiError, session: Session, *, source: Source) -> Evidence:
        if isinstance(error, CredentialsError | UnexpectedAnswerError):
            log.error("recording.odd_answer", sid=session.sid, call=error.call, why=str(error))
        trusted = self._client.has_answered(error.host)
        return evidence.of_error(
            error,
            source=source,
            at=self._clock.now(),
            trusted=trusted,
        )


def _named(session: Session) -> Recording:
    return Recording(
        app_id=session.app_id,
        resource_id=session.resource_id,
        sid=session.sid,
        mode=session.mode,
        cname=session.cname,
        uid=session.uid,
    )
