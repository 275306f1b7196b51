"""What whoever runs the emulator may do to its recordings, and see of them."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agora_sidecar.agora.recordings import WEB
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.studio.catalogue import NAMES, tell, usual
from agora_sidecar.emulator.studio.deaths import RTC_DEATHS, WEB_DEATHS
from agora_sidecar.emulator.studio.message import Message
from agora_sidecar.emulator.studio.recorder import Recorder
from agora_sidecar.emulator.studio.studio import Studio
from agora_sidecar.emulator.studio.task import RUNNING, change, move
from agora_sidecar.emulator.studio.transcoder import EVENTS, payload


class CannotError(ValueError):
    """It cannot be done; the message names what and why."""


class Backstage:
    """Hands on recordings by sid; `tell` takes what no recording tells."""

    def __init__(self, studio: Studio, *, pace: Pace, tell: Callable[[Message], None]) -> None:
        self._studio = studio
        self._pace = pace
        self._tell = tell
        self._transcoded = 0

    def publish(self, cname: str, *, present: bool) -> None:
        """Say whether anybody publishes in a channel, now and later; at first, yes."""
        self._studio.publish(cname, present=present, now=self._pace.elapsed())

    def say(
        self, event_type: int, *, sid: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        """Have an event of the catalogue told, with details as they usually are or with these.

        Raises:
            CannotError: no such event type or recording.
        """
        if event_type in EVENTS:
            self._say_of_transcoder(event_type)
            return
        if event_type not in NAMES:
            known = ", ".join(map(str, sorted([*NAMES, *EVENTS])))
            raise CannotError(f"eventType: {event_type} is not one of {known}")
        recorder, now = self._find(sid)
        name = NAMES[event_type]
        told = usual(event_type) if details is None else tell(name, **details)
        self._studio.act(recorder, recorder.task, now, [told])

    def kill(self, sid: str, death: str) -> None:
        """Have a recording die now.

        Raises:
            CannotError: no such death in its mode, or it does not run.
        """
        recorder, now = self._running(sid)
        deaths = WEB_DEATHS if recorder.plan.mode == WEB else RTC_DEATHS
        if death not in deaths:
            raise CannotError(f"death: {death!r} is not one of {', '.join(deaths)}")
        self._studio.act(recorder, change(recorder.task, death=death, dies_at=now), now)

    def lose_worker(self, sid: str) -> None:
        """Have a recording fail over now.

        Raises:
            CannotError: it does not run.
        """
        recorder, now = self._running(sid)
        self._studio.act(recorder, move(recorder.task, "fault", now), now)

    def look(self, sid: str) -> dict[str, Any]:
        """Everything of a recording: what was ordered and wished, what is true now.

        Raises:
            CannotError: there is none, or no more.
        """
        recorder, _ = self._find(sid)
        return {
            "ordered": msgspec.to_builtins(recorder.plan),
            "now": msgspec.to_builtins(recorder.task),
            "wishes": recorder.wishes,
        }

    def _say_of_transcoder(self, event_type: int) -> None:
        sequence, self._transcoded = self._transcoded, self._transcoded + 1
        message = Message(
            sid="",
            cname="",
            event_type=event_type,
            ordinal=sequence + 1,
            sequence=sequence,
            payload=payload(event_type, sequence=sequence, ms=self._pace.now_ms()),
            ending=False,
        )
        self._tell(message)

    def _find(self, sid: str) -> tuple[Recorder, float]:
        now = self._pace.elapsed()
        recorder = self._studio.find(sid, now)
        if recorder is None:
            raise CannotError(f"sid: no recording {sid[:64]!r}, or it is gone")
        return recorder, now

    def _running(self, sid: str) -> tuple[Recorder, float]:
        recorder, now = self._find(sid)
        if recorder.task.status not in RUNNING:
            raise CannotError(
                f"sid: the recording does not run, its status is {recorder.task.status}"
            )
        return recorder, now
