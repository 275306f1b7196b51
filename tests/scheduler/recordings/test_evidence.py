from typing import Any

import pytest

from agora_sidecar.agora.errors import (
    ApiError,
    LeavingError,
    NoDataError,
    NoWorkerError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.events import CLOUD_RECORDING, decode_details
from agora_sidecar.agora.recordings import File
from agora_sidecar.agora.replies import QueryReply, StopReply
from scheduler.recordings.evidence import is_recording_event, of_error, of_event, of_query, of_stop
from scheduler.recordings.session import Reading, Source
from tests.scheduler.recordings.evidence_samples import NOW

R = Reading


@pytest.mark.parametrize(
    ("event_type", "details", "reading"),
    [
        (40, {"status": 0}, R.STARTED),
        (40, {}, R.STARTED),
        (40, {"status": 1}, R.FATAL),
        (70, {"recorderStartTime": 1_700_000_000_000}, R.STARTED),
        (42, {}, R.ALIVE),
        (43, {"state": 0}, R.ALIVE),
        (44, {"state": 1}, R.ALIVE),
        (45, {"fileName": "x.jpg"}, R.ALIVE),
        (4, {"fileList": "x.m3u8"}, R.ALIVE),
        (30, {"status": 0}, R.PROGRESS),
        (33, {"progress": 10_000}, R.PROGRESS),
        (41, {"leaveCode": 24}, R.LEAVING),
        (31, {"status": 0, "fileList": []}, R.UPLOADED),
        (31, {"status": 0}, R.UPLOADED),
        (31, {"status": 3}, R.FATAL),
        (32, {"status": 0, "fileList": []}, R.BACKUPED),
        (11, {"exitStatus": 0}, R.EXITED),
        (11, {"exitStatus": 1}, R.ABNORMAL),
        (71, {"code": 0, "message": "ok"}, R.LEAVING),
        (71, {"code": 5, "message": "access_url_failed"}, R.ABNORMAL),
        (1, {"module": 0, "errorLevel": 5, "errorCode": 110, "stat": 0}, R.FATAL),
        (1, {"module": 1, "errorLevel": 3, "errorCode": 47, "stat": 1}, R.NOTED),
        (12, {"newUid": 3_321_456_781}, R.FAILED_OVER),
        (2, {"module": 1, "warnCode": 31}, R.NOTED),
        (3, {"status": 5}, R.NOTED),
        (13, {}, R.NOTED),
        (9999, {"anything": 1}, R.NOTED),
    ],
)
def test_how_an_event_is_read(event_type: int, details: dict[str, Any], reading: Reading) -> None:
    evidence = of_event(event_type, decode_details(CLOUD_RECORDING, event_type, details), at=NOW)

    assert evidence is not None
    assert (evidence.reading, evidence.source, evidence.at) == (reading, Source.EVENT, NOW)
    assert str(event_type) in evidence.text


@pytest.mark.parametrize("event_type", [60, 61, 80, 81, 90, 1001])
def test_later_processing_tells_nothing_about_the_recording(event_type: int) -> None:
    assert of_event(event_type, decode_details(CLOUD_RECORDING, event_type, {}), at=NOW) is None
    assert not is_recording_event(CLOUD_RECORDING, event_type)


def test_other_products_tell_nothing_about_a_recording() -> None:
    assert not is_recording_event(1, 40)
    assert is_recording_event(CLOUD_RECORDING, 40)


def test_the_new_uid_and_the_files_are_taken_from_the_event() -> None:
    failover = of_event(12, decode_details(CLOUD_RECORDING, 12, {"newUid": 77}), at=NOW)
    files = [{"fileName": "p/a.m3u8", "trackType": "audio", "uid": "0"}]
    uploaded = of_event(
        31, decode_details(CLOUD_RECORDING, 31, {"status": 0, "fileList": files}), at=NOW
    )

    assert failover is not None
    assert failover.uid == "77"
    assert uploaded is not None
    assert [file.name for file in uploaded.files] == ["p/a.m3u8"]


@pytest.mark.parametrize(
    ("status", "reading"),
    [
        *((status, R.NOT_YET) for status in range(4)),
        (4, R.RUNNING),
        (5, R.RUNNING),
        (6, R.LEAVING),
        (7, R.LEAVING),
        (8, R.EXITING),
        (20, R.ABNORMAL),
        (99, R.NOTED),
        (None, R.NOTED),
    ],
)
def test_how_a_status_of_query_is_read(status: int | None, reading: Reading) -> None:
    reply = QueryReply(
        host="h",
        status=status,
        files=(File("a"),),
        slice_start_ms=None,
        uploading_status="",
        body={},
    )
    evidence = of_query(reply, at=NOW)

    assert (evidence.reading, evidence.source, evidence.host) == (reading, Source.QUERY, "h")
    assert evidence.files == (File("a"),)


@pytest.mark.parametrize(
    ("uploading", "reading"),
    [
        ("uploaded", R.UPLOADED),
        ("backuped", R.BACKUPED),
        ("unknown", R.LEAVING),
        ("", R.LEAVING),
    ],
)
def test_how_an_accepted_stop_is_read(uploading: str, reading: Reading) -> None:
    reply = StopReply(host="h", uploading_status=uploading, files=(), body={})

    assert of_stop(reply, at=NOW).reading is reading


@pytest.mark.parametrize(
    ("error", "reading"),
    [
        (NoWorkerError("query", host="h", status=404, code=404), R.NOT_FOUND),
        (NoDataError("stop", host="h", status=206, code=435), R.NO_DATA),
        (LeavingError("stop", host="h", status=400, code=49), R.LEAVING),
        (RetryLaterError("query"), R.UNKNOWN),
        (SlowDownError("query", host="h", status=429), R.UNKNOWN),
        (UnexpectedAnswerError("query", host="h", status=404), R.UNKNOWN),
    ],
)
def test_how_a_failure_is_read(error: ApiError, reading: Reading) -> None:
    evidence = of_error(error, source=Source.QUERY, at=NOW, trusted=True)

    assert (evidence.reading, evidence.host, evidence.trusted) == (reading, error.host, True)
