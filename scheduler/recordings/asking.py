"""Calls to Agora about one recording, each answer or failure read as evidence and counted."""

from typing import Protocol

import structlog

from agora_sidecar.agora.errors import ApiError, CredentialsError, UnexpectedAnswerError
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.agora.replies import QueryReply, StopReply
from agora_sidecar.process.clock import Clock
from scheduler.recordings import evidence
from scheduler.recordings.metrics import RecordingMetrics
from scheduler.recordings.session import Evidence, Reading, Session, Source, State
from scheduler.recordings.wave import Wave

log = structlog.get_logger()


class Client(Protocol):
    """What is asked of Agora; `query` and `stop` raise `ApiError`."""

    async def query(self, recording: Recording) -> QueryReply:
        """What the vendor knows of it."""
        ...

    async def stop(self, recording: Recording, *, async_stop: bool = True) -> StopReply:
        """Let it end."""
        ...

    def has_answered(self, host: str) -> bool:
        """Whether this host has answered 200 for this account before."""
        ...


class Asker:
    """Asks and stops; notices when many recordings turn 404 at once."""

    def __init__(
        self, *, client: Client, clock: Clock, metrics: RecordingMetrics, wave: Wave
    ) -> None:
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._wave = wave
        self._in_wave = False

    def in_wave(self) -> bool:
        """Whether 404s are to be believed more slowly now; said in the log when it changes."""
        on = self._wave.is_on(self._clock.now())
        self._metrics.wave.set(on)
        if on and not self._in_wave:
            log.error("recording.not_found_wave", on=True)
        elif self._in_wave and not on:
            log.info("recording.not_found_wave", on=False)
        self._in_wave = on
        return on

    async def ask(self, session: Session, reason: str) -> Evidence:
        """Call `query`, and count why."""
        try:
            reply = await self._client.query(_named(session))
            told = evidence.of_query(reply, at=self._clock.now())
        except ApiError as error:
            told = self._of_error(error, session, source=Source.QUERY)
        self._metrics.queries.labels(reason, told.reading.value).inc()
        self._weigh(session, told)
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

    def _weigh(self, session: Session, told: Evidence) -> None:
        """Whether this answer speaks for a wave of 404s, or against one.

        What was doubted before, perhaps by another leader, belongs to the same wave. A 404 of one
        that may well be one says nothing: not started yet, wanted stopped, or long known.
        """
        missing = told.reading is Reading.NOT_FOUND
        working = session.state is State.RECORDING and not session.stop_wanted
        turned = missing and working and (session.missing_since is None or session.doubted)
        if turned or not missing:
            self._wave.note(session.sid, at=told.at, turned=turned)

    def _of_error(self, error: ApiError, session: Session, *, source: Source) -> Evidence:
        if isinstance(error, CredentialsError | UnexpectedAnswerError):
            log.error("recording.odd_answer", sid=session.sid, call=error.call, why=str(error))
        trusted = self._client.has_answered(error.host)
        return evidence.of_error(
            error,
            source=source,
            at=self._clock.now(),
            trusted=trusted,
            doubted=source is Source.QUERY and self._wave.is_on(self._clock.now()),
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
