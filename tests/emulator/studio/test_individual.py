import re

import pytest

from agora_sidecar.agora.recordings import IN_PROGRESS
from agora_sidecar.agora.replies import read_query
from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.faults import Faults
from tests.emulator.virtual import Vendor, code

SNAPSHOT = {"fileType": ["jpg"], "captureInterval": 10}
HLS = {"avFileType": ["hls"]}


def test_every_user_has_streams_slices_and_indexes_of_their_own() -> None:
    vendor = Vendor()
    running = vendor.record(mode="individual")
    vendor.run(70.0)

    assert running.events == [40, 43, 44, 43, 44, 42, 42, 42, 42, 33, 4, 4, 4, 4]
    assert {one["streamUid"] for one in running.details(43)} == {"1001", "1002"}
    assert all(one["mixedAllUser"] is False for one in running.details(42))
    sid = running.path.sid
    names = [one["fileList"] for one in running.details(4)]
    assert names[0] == f"{sid}_room1__uid_s_1001__uid_e_audio.m3u8"
    query = read_query({"serverResponse": running.query()}, host="h")
    assert query.status == IN_PROGRESS
    assert [file.name for file in query.files] == names
    assert {(file.uid, file.track_type) for file in query.files} == {
        (uid, kind) for uid in ("1001", "1002") for kind in ("audio", "video")
    }


def test_the_standard_mode_adds_a_merged_index() -> None:
    vendor = Vendor()
    running = vendor.record(
        mode="individual",
        recordingConfig={"subscribeVideoUids": ["7"], "streamMode": "standard"},
    )
    vendor.run(70.0)

    files = running.query()["fileList"]
    assert [file["trackType"] for file in files] == ["audio", "video", "audio_and_video"]
    assert files[2]["fileName"].endswith("__uid_s_7__uid_e_av.m3u8")


@pytest.mark.parametrize("key", ["unSubscribeAudioUids", "unsubscribeAudioUids"])
def test_who_is_left_out_is_not_recorded_in_either_spelling(key: str) -> None:
    vendor = Vendor()
    running = vendor.record(mode="individual", recordingConfig={key: ["1001"]})
    vendor.run(10.0)

    assert {one["streamUid"] for one in running.details(42)} == {"1002"}


def test_an_update_records_others_from_then_on() -> None:
    vendor = Vendor()
    running = vendor.record(mode="individual", recordingConfig={"subscribeVideoUids": ["7"]})
    vendor.run(70.0)

    running.update(streamSubscribe={"videoUidList": {"subscribeVideoUids": ["8"]}})
    told = vendor.run(2.0)

    states = [
        (m.payload["details"]["streamUid"], m.payload["details"]["state"])
        for m in told
        if m.event_type == 44
    ]
    assert states == [("7", 1), ("8", 0)]
    vendor.run(60.0)
    assert {file["uid"] for file in running.query()["fileList"]} == {"7", "8"}


def test_screenshots_alone_have_names_only_in_event_45() -> None:
    vendor = Vendor()
    running = vendor.record(mode="individual", snapshotConfig=SNAPSHOT)
    vendor.run(35.0)

    names = [one["fileName"] for one in running.details(45)]
    assert len(names) == 2 * 3
    pattern = rf"{running.path.sid}_room1__uid_s_1001__uid_e_video_\d{{17}}\.jpg"
    assert re.fullmatch(pattern, names[0])
    assert not {4, 42} & set(running.events)
    assert sorted(running.query()) == ["sliceStartTime", "status"]
    assert running.query()["status"] == IN_PROGRESS
    assert {m.payload["serviceScene"] for m in running.told} == {"rtc_snapshot"}
    assert running.stopped() == {"uploadingStatus": "uploaded"}


def test_screenshots_beside_a_recording() -> None:
    vendor = Vendor()
    running = vendor.record(mode="individual", snapshotConfig=SNAPSHOT, recordingFileConfig=HLS)
    vendor.run(70.0)

    assert {4, 42, 45} <= set(running.events)
    assert {m.payload["serviceScene"] for m in running.told} == {"rtc_record"}


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({"transConfig": {"transMode": "postponeTranscoding"}}, "mp4"),
        ({"transConfig": {"transMode": "audioMix"}}, "mp3"),
        ({"transConfig": {"transMode": "audioMix"}, "container": {"format": "aac"}}, "aac"),
    ],
)
def test_what_is_postponed_is_told_after_the_recording_is_gone(
    options: dict[str, object], ending: str
) -> None:
    vendor = Vendor()
    running = vendor.record(
        mode="individual",
        scene=2,
        appsCollection={"combinationPolicy": "postpone_transcoding"},
        transcodeOptions=options,
    )
    vendor.run(70.0)
    running.stop(async_stop=True)
    vendor.run(20.0)
    with pytest.raises(Refusal) as caught:
        running.query()
    assert code(caught.value) == (404, 404)

    vendor.run()

    assert running.events[-3:] == [80, 81, 1001]
    assert running.details(1001) == [
        {
            "result": "total_success",
            "fileList": [{"fileName": f"{running.path.sid}_room1.{ending}"}],
        }
    ]
    scenes = {m.event_type: m.payload["serviceScene"] for m in running.told}
    assert scenes[40] == "postpone_transcode::rtc_record"
    assert scenes[80] == "postpone_transcode::transcode"


def test_what_ended_in_the_backup_cloud_cannot_be_transcoded() -> None:
    vendor = Vendor(faults=Faults(backup=1.0))
    running = vendor.record(
        mode="individual",
        scene=2,
        appsCollection={"combinationPolicy": "postpone_transcoding"},
    )
    vendor.run(70.0)
    running.stop(async_stop=True)
    vendor.run()

    assert running.events[-4:] == [80, 90, 81, 1001]
    assert running.details(1001)[0]["result"] == "failed"
    assert running.details(90)[0]["fileName"].count(";") == 3
