from dataclasses import replace
from typing import Any

import msgspec
import pytest

from agora_sidecar.agora.notifications import read_details, read_notification
from agora_sidecar.emulator.bodies import (
    EVENTS,
    Facts,
    details,
    envelope,
    payload,
    query_answer,
    stop_answer,
)

FACTS = Facts(
    cname="room 1/ü",
    uid="900001",
    resource_id="RID",
    sid="0123456789abcdef0123456789abcdef",
    mp4=False,
    prefix="a/",
    backup=False,
    slice_start_ms=1_700_000_004_000,
)
INDEX = "a/0123456789abcdef0123456789abcdef_room-1-ü.m3u8"
MP4 = "a/0123456789abcdef0123456789abcdef_room-1-ü_0.mp4"
NO_MEDIA = replace(FACTS, slice_start_ms=None)


def file(name: str) -> dict[str, Any]:
    return {
        "fileName": name,
        "trackType": "audio_and_video",
        "uid": "0",
        "mixedAllUser": True,
        "isPlayable": True,
        "sliceStartTime": 1_700_000_004_000,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cloud_recording_file_infos", {"fileList": INDEX}),
        ("session_exit", {"exitStatus": 0}),
        ("uploader_started", {"status": 0}),
        ("uploaded", {"status": 0, "fileList": [file(INDEX)]}),
        ("backuped", {"status": 0, "fileList": [file(INDEX)]}),
        ("uploading_progress", {"progress": 9375}),
        ("recorder_started", {"status": 0}),
        ("recorder_leave", {"leaveCode": 24}),
        (
            "recorder_slice_start",
            {
                "startUtcMs": 1_700_000_004_000,
                "discontinueUtcMs": 1_700_000_004_000,
                "mixedAllUser": True,
                "streamUid": "0",
                "trackType": "audio_and_video",
            },
        ),
        ("recorder_audio_stream_state_changed", {"streamUid": "0", "state": 0, "utcMs": 5}),
        ("recorder_video_stream_state_changed", {"streamUid": "0", "state": 0, "utcMs": 5}),
    ],
)
def test_every_event_has_the_vendors_details(name: str, expected: dict[str, Any]) -> None:
    told = details(name, FACTS, leave_code=24, hearing=True, now_ms=5)

    assert told == {"msgName": name, **expected}
    assert name in EVENTS


def test_no_event_is_without_details_of_its_own_test() -> None:
    assert len(EVENTS) == 11


def test_a_stream_that_is_not_received_has_state_1() -> None:
    name = "recorder_audio_stream_state_changed"

    assert details(name, FACTS, leave_code=0, hearing=False, now_ms=5)["state"] == 1


@pytest.mark.parametrize("sid", [None, FACTS.sid])
def test_a_body_reads_as_a_notification(sid: str | None) -> None:
    told = details("recorder_started", FACTS, leave_code=0, hearing=False, now_ms=5)
    inner = payload("recorder_started", FACTS, sequence=3, sent_ms=17, details=told)

    body = envelope("n1", event_type=40, notify_ms=19, payload=inner, sid=sid)

    notification = read_notification(body)
    assert (notification.notice_id, notification.product_id, notification.event_type) == (
        "n1",
        3,
        40,
    )
    assert (notification.notify_ms, notification.send_ms, notification.sequence) == (19, 17, 3)
    assert (notification.cname, notification.uid, notification.sid) == (
        FACTS.cname,
        FACTS.uid,
        FACTS.sid,
    )
    assert read_details(body) == {"msgName": "recorder_started", "status": 0}
    assert msgspec.json.decode(body)["payload"]["serviceType"] == 1
    assert ("sid" in msgspec.json.decode(body)) == (sid is not None)


def response(facts: Facts) -> dict[str, Any]:
    answer = query_answer(facts, 5)
    assert {name: answer[name] for name in ("cname", "uid", "resourceId", "sid")} == {
        "cname": FACTS.cname,
        "uid": FACTS.uid,
        "resourceId": "RID",
        "sid": FACTS.sid,
    }
    return dict(answer["serverResponse"])


def test_query_tells_hls_files_as_a_string() -> None:
    assert response(FACTS) == {
        "status": 5,
        "fileListMode": "string",
        "fileList": INDEX,
        "sliceStartTime": 1_700_000_004_000,
    }


def test_query_tells_hls_and_mp4_files_as_a_list() -> None:
    assert response(replace(FACTS, mp4=True))["fileList"] == [file(MP4), file(INDEX)]


def test_query_has_no_files_before_there_is_media() -> None:
    assert response(NO_MEDIA) == {"status": 5, "fileListMode": "string", "fileList": ""}
    assert response(replace(NO_MEDIA, mp4=True))["fileList"] == []


def test_stop_knows_the_uploads_outcome_only_after_the_end() -> None:
    backup = replace(FACTS, backup=True)

    outcomes = [
        stop_answer(facts, left=left)["serverResponse"]["uploadingStatus"]
        for facts, left in ((FACTS, False), (FACTS, True), (backup, True))
    ]

    assert outcomes == ["unknown", "uploaded", "backuped"]
