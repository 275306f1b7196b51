"""What the business server says about a recording: checked whole, joined to what is known. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scheduler.recordings import body as of
from scheduler.recordings.body import Fields, Problem, RegistrationError
from scheduler.recordings.session import Session

CLOCK_SKEW = 300.0
"""Seconds by which `startedAt` may be ahead of this machine's clock."""


class OtherRecordingError(Exception):
    """This sid was registered with other facts."""

    def __init__(self, sid: str, fields: Collection[str]) -> None:
        super().__init__(f"recording {sid} was registered with another {', '.join(fields)}")
        self.sid = sid
        self.fields = tuple(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The facts of one recording; None where they were not given. Durations in seconds."""

    sid: str
    app_id: str
    resource_id: str
    mode: str
    cname: str
    uid: str
    source: str
    started_at: float | None
    max_duration: float | None
    resource_expired_hour: float | None
    max_idle_time: float | None
    max_recording_hour: float | None = None
    file_name_prefix: tuple[str, ...] = ()
    av_file_type: tuple[str, ...] = ()


def read_registration(sid: str, body: Any, *, app_ids: Collection[str], now: float) -> Registration:
    """The facts in the JSON body of `PUT /recordings/{sid}`.

    `app_ids` are those that are served; with a single one, `appId` may be left out.

    Raises:
        RegistrationError: with every problem, not only the first.
    """
    if not isinstance(body, Mapping):
        raise RegistrationError([Problem("body", "is a JSON object", 'send {"resourceId": …}')])
    fields = Fields(body)
    fields.check_sid(sid)
    only = next(iter(app_ids)) if len(app_ids) == 1 else None
    found = Registration(
        sid=sid,
        resource_id=fields.text("resourceId", of.resource_id),
        mode=fields.text("mode", of.mode),
        cname=fields.text("cname", of.cname),
        uid=fields.text("uid", of.uid),
        app_id=fields.text("appId", of.one_of(app_ids), default=only),
        source=fields.text("source", of.source, default="default"),
        started_at=fields.optional("startedAt", of.moment_until(now + CLOCK_SKEW)),
        max_duration=fields.optional("maxDuration", of.length),
        resource_expired_hour=fields.optional("resourceExpiredHour", of.within(1, 720)),
        max_idle_time=fields.optional("maxIdleTime", of.within(5, 2_592_000)),
        max_recording_hour=fields.optional("maxRecordingHour", of.within(1, 720)),
        file_name_prefix=fields.texts("fileNamePrefix", of.folder),
        av_file_type=fields.texts("avFileType", of.container),
    )
    fields.refuse_the_rest()
    if fields.problems:
        raise RegistrationError(fields.problems)
    return found


def join(
    session: Session | None, facts: Registration, *, now: float, max_duration: float | None
) -> Session:
    """The session with these facts; `max_duration` (seconds) is for those that give none.

    Raises:
        OtherRecordingError: it was registered with other facts.
    """
    if session is None:
        session = Session(sid=facts.sid, created_at=now, started_at=facts.started_at or now)
    elif session.registered:
        names = ("resource_id", "app_id", "mode", "cname", "uid")
        others = [name for name in names if getattr(session, name) != getattr(facts, name)]
        if others:
            raise OtherRecordingError(facts.sid, others)
    return replace(
        session,
        registered=True,
        app_id=facts.app_id,
        resource_id=facts.resource_id,
        mode=facts.mode,
        cname=facts.cname,
        uid=facts.uid,
        source=facts.source,
        started_at=facts.started_at or session.started_at,
        max_duration=facts.max_duration or session.max_duration or max_duration,
        resource_expired_hour=facts.resource_expired_hour or session.resource_expired_hour,
        max_idle_time=facts.max_idle_time or session.max_idle_time,
        max_recording_hour=facts.max_recording_hour or session.max_recording_hour,
        file_name_prefix=facts.file_name_prefix or session.file_name_prefix,
        av_file_type=facts.av_file_type or session.av_file_type,
    )
