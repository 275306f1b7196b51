"""What a start's `clientRequest` says of how long it may last and what its files are called. Pure.

Only what has the vendor's shape is taken; the vendor itself judges the rest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agora_sidecar.agora import fields
from scheduler.recordings.body import MAX_FOLDERS, RuleError, container, folder


def max_recording_hour(request: Mapping[str, Any]) -> float | None:
    """Of web mode's recorder; the longest where there are several."""
    services = fields.mapping(request.get("extensionServiceConfig")).get("extensionServices")
    hours = [
        fields.number(
            fields.mapping(fields.mapping(one).get("serviceParam")).get("maxRecordingHour")
        )
        for one in (services if isinstance(services, list) else [])
    ]
    return max((float(hour) for hour in hours if hour), default=None)


def file_name_prefix(request: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders of its files."""
    return _texts(fields.mapping(request.get("storageConfig")).get("fileNamePrefix"), folder)


def av_file_type(request: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of files that were asked for; empty: as usual."""
    return _texts(fields.mapping(request.get("recordingFileConfig")).get("avFileType"), container)


def _texts(value: Any, rule: Any) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    try:
        return tuple(rule(text) for text in value[:MAX_FOLDERS])
    except (RuleError, AttributeError, TypeError):
        return ()
