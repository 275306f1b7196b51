import pytest

from agora_sidecar.agora.recordings import IN_PROGRESS
from agora_sidecar.agora.replies import read_query, read_stop
from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.faults import Faults
from tests.emulator.virtual import EPOCH_MS, PUSH, Vendor, code, page


def test_a_page_is_recorded_and_stopped() -> None:
    vendor = Vendor()
    running = vendor.record(mode="web", **page())
    assert running.query()["extensionServiceState"][0]["payload"]["state"] == "init"
    vendor.run(30.0)

    assert running.events == [70, 4]
    assert running.details(70) == [{"recorderStartTime": EPOCH_MS + 5000}]
    query = read_query({"serverResponse": running.query()}, host="h")
    assert query.status == IN_PROGRESS
    assert [file.name for file in query.files] == [f"{running.path.sid}_room1.m3u8"]

    stopped = running.stopped()

    assert sorted(running.events[2:]) == [11, 30, 31, 71]
    told = running.details(71)[0]
    assert (told["code"], told["message"]) == (0, "ok")
    assert running.details(31) == [{"status": 0}]
    assert read_stop({"serverResponse": stopped}, host="h").uploading_status == "uploaded"
    assert {m.payload["serviceScene"] for m in running.told} == {"web_record"}


def test_files_with_mp4_are_both_listed() -> None:
    vendor = Vendor()
    running = vendor.record(
        mode="web", recordingFileConfig={"avFileType": ["hls", "mp4"]}, **page()
    )
    vendor.run(30.0)

    files = running.query()["extensionServiceState"][0]["payload"]["fileList"]
    assert [file["filename"].rpartition(".")[2] for file in files] == ["m3u8", "mp4"]


def test_an_idle_channel_ends_no_page() -> None:
    vendor = Vendor()
    vendor.studio.publish("room1", present=False, now=0.0)
    running = vendor.record(mode="web", **page())

    vendor.run(600.0)

    assert running.query()["status"] == IN_PROGRESS


def test_a_page_on_hold_records_nothing_until_it_is_updated() -> None:
    vendor = Vendor()
    running = vendor.record(mode="web", **page(PUSH, onhold=True))
    vendor.run(60.0)
    assert running.query()["status"] == 4
    assert running.query()["extensionServiceState"][0]["payload"]["onhold"] is True

    running.update(webRecordingConfig={"onhold": False})
    vendor.run(30.0)

    assert running.query()["status"] == IN_PROGRESS
    running.update(webRecordingConfig={"onhold": True})
    assert [one["status"] for one in running.details(100)][-1] == "publishing"
    vendor.run(1.0)
    assert [one["status"] for one in running.details(100)][-1] == "onhold"


def test_a_page_on_hold_that_is_stopped_has_no_data() -> None:
    vendor = Vendor()
    running = vendor.record(mode="web", **page(onhold=True))
    vendor.run(10.0)

    with pytest.raises(Refusal) as caught:
        running.stop()

    assert code(caught.value) == (206, 435)


def test_the_longest_time_ends_it_with_code_1_and_uploads() -> None:
    vendor = Vendor()
    running = vendor.record(mode="web", **page(maxRecordingHour=1))

    vendor.run(3599.0)
    assert running.query()["status"] == IN_PROGRESS
    vendor.run(10.0)

    told = running.details(71)[0]
    assert (told["code"], told["message"]) == (1, "max_recording_hour")
    assert len(told["fileList"]) == 1
    assert {31, 11} <= set(running.events)
    assert running.details(11) == [{"exitStatus": 0}]


def test_a_page_is_pushed_to_a_cdn_and_to_another() -> None:
    vendor = Vendor()
    running = vendor.record(mode="web", **page(PUSH))
    vendor.run(20.0)

    service = running.query()["extensionServiceState"][1]
    assert service == {
        "serviceName": "rtmp_publish_service",
        "payload": {
            "state": "inProgress",
            "outputs": [{"rtmpUrl": "rtmp://cdn.example/app/key", "status": "publishing"}],
        },
    }
    other = "rtmps://cdn.invalid/app/key"
    running.update(rtmpPublishConfig={"outputs": [{"rtmpUrl": other}]})
    vendor.run(5.0)

    states = [(one["rtmpUrl"][:8], one["status"]) for one in running.details(100)]
    assert states == [
        ("rtmp://c", "connecting"),
        ("rtmp://c", "publishing"),
        ("rtmps://", "connecting"),
        ("rtmps://", "disconnected"),
    ]
    assert running.query()["status"] in {4, IN_PROGRESS}


def test_the_reference_misspells_a_key_of_stop_and_so_does_the_emulator_on_demand() -> None:
    vendor = Vendor(faults=Faults(playload=1.0))
    running = vendor.record(mode="web", **page())
    vendor.run(30.0)

    stopped = running.stopped()

    assert all("playload" in service for service in stopped["extensionServiceState"])
    assert read_stop({"serverResponse": stopped}, host="h").uploading_status == "uploaded"
