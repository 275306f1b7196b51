"""What the details of each event type say: one closed value for each, `Unknown` for all others.

Docs-Source `event-types/cloud-recording.mdx` and its older pages. A number that is not there or odd
is None, a text is empty. Decoding is in `events`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from agora_sidecar.agora.recordings import File

Raw = Mapping[str, Any]


class CloudRecordingError(msgspec.Struct, frozen=True):
    """1: an error in a module; level 5 may end the recording. `stat` decides nothing."""

    module: int | None
    error_level: int | None
    error_code: int | None
    stat: int | None
    error_msg: str


class CloudRecordingWarning(msgspec.Struct, frozen=True):
    """2: a warning of a module."""

    module: int | None
    warn_code: int | None


class StatusUpdate(msgspec.Struct, frozen=True):
    """3: a call did not fit the service's state; the pages disagree on `recording_mode`."""

    status: int | None
    recording_mode: int | None
    file_list: tuple[File, ...]


class FileInfos(msgspec.Struct, frozen=True):
    """4: an index file was uploaded for the first time."""

    file_list: tuple[File, ...]


class SessionExit(msgspec.Struct, frozen=True):
    """11: the service exited; 0 is normal, 1 abnormal."""

    exit_status: int | None


class SessionFailover(msgspec.Struct, frozen=True):
    """12: the recording goes on under a new, random uid."""

    new_uid: str


class UploaderStarted(msgspec.Struct, frozen=True):
    """30: 0 is normal."""

    status: int | None


class Uploaded(msgspec.Struct, frozen=True):
    """31: everything is in the customer's storage; web mode tells no files."""

    status: int | None
    files: tuple[File, ...]


class Backuped(msgspec.Struct, frozen=True):
    """32: everything is uploaded, something of it only to the vendor's backup."""

    status: int | None
    files: tuple[File, ...]


class UploadingProgress(msgspec.Struct, frozen=True):
    """33: 0..10000, uploaded of recorded files; may fall again while recording."""

    progress: int | None


class RecorderStarted(msgspec.Struct, frozen=True):
    """40: 0 is normal."""

    status: int | None


class RecorderLeave(msgspec.Struct, frozen=True):
    """41: why, as a bit mask: 2 signal, 4 nobody there, 8 to be ignored, 16 left by itself."""

    leave_code: int | None


class SliceStart(msgspec.Struct, frozen=True):
    """42: the first slice, or the first after an interruption; Unix milliseconds."""

    start_ms: int | None
    discontinue_ms: int | None
    stream_uid: str
    track_type: str
    mixed_all_user: bool | None = None


class StreamState(msgspec.Struct, frozen=True):
    """43 and 44: `kind` is audio or video; `state` 0 is receiving, 1 is not."""

    kind: str
    stream_uid: str
    state: int | None
    utc_ms: int | None


class SnapshotFile(msgspec.Struct, frozen=True):
    """45: one screenshot was uploaded; the only place that names it."""

    file_name: str


class VodStarted(msgspec.Struct, frozen=True):
    """60: the uploader to ApsaraVideo VoD obtained its credential."""

    video_id: str


class VodTriggered(msgspec.Struct, frozen=True):
    """61: everything is in ApsaraVideo VoD."""


class WebRecorderStarted(msgspec.Struct, frozen=True):
    """70: Unix milliseconds."""

    recorder_start_ms: int | None


class WebRecorderStopped(msgspec.Struct, frozen=True):
    """71: code 0 is a stop that was asked for, all others are abnormal."""

    code: int | None
    message: str
    details: str
    files: tuple[File, ...]


class CapabilityLimit(msgspec.Struct, frozen=True):
    """72: resolution, WebGL or bandwidth; the recording is about to stop."""

    limit_type: str


class WebRecorderReload(msgspec.Struct, frozen=True):
    """73: the page was loaded again."""

    reason: str


class TranscoderStarted(msgspec.Struct, frozen=True):
    """80: postponed transcoding began."""


class TranscoderCompleted(msgspec.Struct, frozen=True):
    """81: all_success, partial_success or fail; files of all users."""

    result: str
    files: tuple[File, ...]


class DownloadFailed(msgspec.Struct, frozen=True):
    """90: files that could not be fetched for postponed transcoding."""

    vendor: int | None
    region: int | None
    bucket: str
    file_names: tuple[str, ...]


class RtmpPublishStatus(msgspec.Struct, frozen=True):
    """100: connecting, publishing, onhold or disconnected."""

    rtmp_url: str
    status: str


class PostponeTranscodeFinalResult(msgspec.Struct, frozen=True):
    """1001: total_success, partial_success or failed."""

    result: str
    files: tuple[File, ...]


class Unknown(msgspec.Struct, frozen=True):
    """Any other event, of any product."""

    details: Raw


Details = (
    CloudRecordingError
    | CloudRecordingWarning
    | StatusUpdate
    | FileInfos
    | SessionExit
    | SessionFailover
    | UploaderStarted
    | Uploaded
    | Backuped
    | UploadingProgress
    | RecorderStarted
    | RecorderLeave
    | SliceStart
    | StreamState
    | SnapshotFile
    | VodStarted
    | VodTriggered
    | WebRecorderStarted
    | WebRecorderStopped
    | CapabilityLimit
    | WebRecorderReload
    | TranscoderStarted
    | TranscoderCompleted
    | DownloadFailed
    | RtmpPublishStatus
    | PostponeTranscodeFinalResult
    | Unknown
)
