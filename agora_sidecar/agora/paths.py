"""Paths of the REST API: what a task is named by, quoted. The reference, chapter by chapter."""

from urllib.parse import quote

from agora_sidecar.agora.errors import RefusedError
from agora_sidecar.agora.recordings import Recording


def cloud_recording_path(call: str, app_id: str, *parts: str) -> str:
    """A path below one app id's `cloud_recording`.

    Raises:
        RefusedError: a part that others would make another path of, or that is no text.
    """
    for part in (app_id, *parts):
        if part in {"", ".", ".."}:
            raise RefusedError(call, reason=f"{part!r} cannot be a part of a path")
    try:
        quoted = [quote(part, safe="") for part in (app_id, "cloud_recording", *parts)]
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise RefusedError(call, reason="a part of the path is not Unicode") from error
    return "/".join(("/v1/apps", *quoted))


def task_path(call: str, recording: Recording) -> str:
    """The path of a call about a task that was started.

    Raises:
        RefusedError: as above.
    """
    return cloud_recording_path(
        call,
        recording.app_id,
        *("resourceid", recording.resource_id),
        *("sid", recording.sid),
        *("mode", recording.mode),
        call,
    )
