from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora import details as d
from agora_sidecar.agora.events import CLOUD_RECORDING, NAMES, decode_details, event_name
from agora_sidecar.agora.notifications import read_details, read_notification
from agora_sidecar.agora.recordings import File
from tests.agora.samples import FOLDER, sample

AT = 1_700_000_004_000
MIXED = File("p/sid_room1.m3u8", "audio_and_video", "0", True, True, AT)
INDIVIDUAL = "p/sid_room1__uid_s_1001__uid_e_"
WEB_FILES = (
    File("p/sid_lbl.m3u8", slice_start_ms=AT),
    File("p/sid_lbl_0.mp4", slice_start_ms=AT),
)
AUDIO = d.StreamState("audio", "1001", 0, 1_700_000_004_100)
VIDEO = d.StreamState("video", "1001", 1, 1_700_000_009_100)
SLICE = d.SliceStart(AT, AT, "0", "audio_and_video", mixed_all_user=True)
LOST = d.DownloadFailed(1, 0, "b", ("a.m3u8", "b.ts"))

CASES: Mapping[str, d.Details] = {
    "1-cloud_recording_error": d.CloudRecordingError(1, 5, 32, 0, ""),
    "2-cloud_recording_warning": d.CloudRecordingWarning(1, 31),
    "3-cloud_recording_status_update": d.StatusUpdate(5, 1, (File("p/sid_room1.m3u8"),)),
    "4-cloud_recording_file_infos": d.FileInfos((File("p/sid_room1.m3u8"),)),
    "11-session_exit": d.SessionExit(0),
    "12-session_failover": d.SessionFailover("3321456781"),
    "30-uploader_started": d.UploaderStarted(0),
    "31-uploaded": d.Uploaded(0, (MIXED,)),
    "31-uploaded-web": d.Uploaded(0, ()),
    "32-backuped": d.Backuped(
        0,
        (
            File(INDIVIDUAL + "audio.m3u8", "audio", "1001", False, True, AT),
            File(INDIVIDUAL + "video.m3u8", "video", "1001", False, False, AT + 500),
        ),
    ),
    "33-uploading_progress": d.UploadingProgress(9375),
    "40-recorder_started": d.RecorderStarted(0),
    "41-recorder_leave": d.RecorderLeave(24),
    "42-recorder_slice_start": SLICE,
    "42-recorder_slice_start-older": SLICE,
    "43-recorder_audio_stream_state_changed": AUDIO,
    "43-recorder_audio_stream_state_changed-as-documented": AUDIO,
    "43-recorder_audio_stream_state_changed-bare": d.StreamState("audio", "", None, None),
    "44-recorder_video_stream_state_changed": VIDEO,
    "44-recorder_video_stream_state_changed-as-documented": VIDEO,
    "45-recorder_snapshot_file": d.SnapshotFile(INDIVIDUAL + "video_20231114221324000.jpg"),
    "60-vod_started": d.VodStarted("v"),
    "61-vod_triggered": d.VodTriggered(),
    "70-web_recorder_started": d.WebRecorderStarted(AT),
    "70-web_recorder_started-older": d.WebRecorderStarted(None),
    "71-web_recorder_stopped": d.WebRecorderStopped(1, "max_recording_hour", "text", WEB_FILES),
    "71-web_recorder_stopped-fileName": d.WebRecorderStopped(
        6, "recorder_error", "text", WEB_FILES[:1]
    ),
    "71-web_recorder_stopped-older": d.WebRecorderStopped(0, "ok", "", ()),
    "72-web_recorder_capability_limit": d.CapabilityLimit("WebGL"),
    "73-web_recorder_reload": d.WebRecorderReload("page_load_timeout"),
    "80-transcoder_started": d.TranscoderStarted(),
    "81-transcoder_completed": d.TranscoderCompleted("all_success", (File("p/x.mp4"),)),
    "81-transcoder_completed-filename": d.TranscoderCompleted(
        "partial_success", (File("p/x.mp4"),)
    ),
    "90-download_failed": LOST,
    "90-download_failed-filename": LOST,
    "100-rtmp_publish_status": d.RtmpPublishStatus("rtmp://h/app/key", "publishing"),
    "1001-postpone_transcode_final_result": d.PostponeTranscodeFinalResult(
        "total_success", (File("p/x.mp4"),)
    ),
}
TRANSCODER = {
    110: "cloud_transcoder_started",
    111: "cloud_transcoder_stopped",
    112: "cloud_transcoder_status",
    113: "cloud_transcoder_updated",
}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


def decoded(name: str) -> tuple[int, d.Details]:
    body = sample(f"events/{name}")
    notice = read_notification(body)
    return notice.event_type, decode_details(
        notice.product_id, notice.event_type, read_details(body)
    )


@pytest.mark.parametrize("name", CASES)
def test_the_details_of_each_event_are_read_from_its_sample(name: str) -> None:
    event_type, details = decoded(name)
    assert details == CASES[name]
    assert event_name(CLOUD_RECORDING, event_type) == name.split("-")[1]


@pytest.mark.parametrize(("event_type", "name"), TRANSCODER.items())
def test_the_cloud_transcoders_events_have_a_name_and_details_as_they_came(
    event_type: int, name: str
) -> None:
    body = sample(f"events/{event_type}-{name}")
    assert decoded(f"{event_type}-{name}") == (event_type, d.Unknown(read_details(body)))
    assert event_name(CLOUD_RECORDING, event_type) == name
    assert read_notification(body).sid is None


def test_every_event_that_has_a_name_has_a_sample_and_every_sample_is_read() -> None:
    sampled = {path.stem for path in (FOLDER / "events").glob("*.json")}
    transcoder = {f"{number}-{name}" for number, name in TRANSCODER.items()}
    assert sampled == CASES.keys() | transcoder
    assert {f"{number}-{name}" for number, name in NAMES.items()} <= sampled


@pytest.mark.parametrize(("product", "event_type"), [(3, 13), (3, 34), (3, 99999), (1, 40), (0, 1)])
def test_what_is_in_no_document_has_no_name_and_flows_through(
    product: int, event_type: int
) -> None:
    assert event_name(product, event_type) is None
    assert decode_details(product, event_type, {"a": 1}) == d.Unknown({"a": 1})


@pytest.mark.parametrize("event_type", NAMES.keys() - TRANSCODER.keys())
def test_details_without_any_field_are_read_as_knowing_nothing(event_type: int) -> None:
    details = decode_details(CLOUD_RECORDING, event_type, {})
    known = [getattr(details, name) for name in details.__struct_fields__]
    assert set(known) <= {None, "", (), "audio", "video"}


def test_a_whole_number_is_neither_a_boolean_nor_a_fraction_nor_endless() -> None:
    for odd in (True, 0.5, "0", 2**63, -(10**400), None, []):
        assert decode_details(CLOUD_RECORDING, 11, {"exitStatus": odd}) == d.SessionExit(None)


def test_of_two_spellings_the_one_of_the_right_type_counts() -> None:
    details = {"utcMs": "soon", "UtcMs": 5, "streamUid": 1001, "state": 0}
    assert decode_details(CLOUD_RECORDING, 43, details) == d.StreamState("audio", "1001", 0, 5)
    names = {"fileName": "", "filename": "a.jpg"}
    assert decode_details(CLOUD_RECORDING, 45, names) == d.SnapshotFile("a.jpg")


@pytest.mark.parametrize("new_uid", [77, "77"])
def test_the_new_uid_after_a_failover_is_text_whatever_it_was(new_uid: object) -> None:
    assert decode_details(CLOUD_RECORDING, 12, {"newUid": new_uid}) == d.SessionFailover("77")


@given(event_type=st.sampled_from(sorted(NAMES)), raw=st.data())
def test_no_details_however_odd_raise(event_type: int, raw: st.DataObject) -> None:
    names = sorted({"aliVodInfo", "uids", "fileList"} | _fields_of(event_type))
    details = raw.draw(st.dictionaries(st.sampled_from(names), json_values, max_size=4))
    kind = type(decode_details(CLOUD_RECORDING, event_type, {}))
    assert type(decode_details(CLOUD_RECORDING, event_type, details)) is kind


def _fields_of(event_type: int) -> set[str]:
    samples = (FOLDER / "events").glob(f"{event_type}-*.json")
    return {key for path in samples for key in read_details(path.read_bytes())}
