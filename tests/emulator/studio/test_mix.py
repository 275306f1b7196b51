import pytest

from agora_sidecar.agora.recordings import IN_PROGRESS, READY
from agora_sidecar.agora.replies import read_query
from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.studio.plan import ENDINGS
from agora_sidecar.emulator.studio.task import GONE
from tests.emulator.virtual import EPOCH_MS, Vendor, code


def test_the_ladder_with_a_publisher_goes_from_1_to_5() -> None:
    vendor = Vendor()
    running = vendor.record()
    statuses = [running.query()["status"]]
    for _ in range(60):
        vendor.run(0.5)
        statuses.append(running.query()["status"])

    assert [status for n, status in enumerate(statuses) if statuses[n - 1] != status] == [
        1,
        2,
        3,
        4,
        5,
    ]
    times = {m.event_type: (m.payload["sendts"] - EPOCH_MS) / 1000 for m in vendor.told}
    assert times == {40: 2.0, 43: 3.0, 44: 3.0, 42: 3.0, 4: 18.0}


def test_progress_is_told_once_a_minute() -> None:
    vendor = Vendor()
    vendor.record()

    told = vendor.run(200.0)

    stamps = [m.payload["sendts"] - EPOCH_MS for m in told if m.event_type == 33]
    assert stamps == [62_000, 122_000, 182_000]


def test_files_are_told_as_a_string_and_with_mp4_as_a_list() -> None:
    vendor = Vendor()
    plain = vendor.record(cname="a")
    both = vendor.record(cname="b!", recordingFileConfig={"avFileType": ["hls", "mp4"]})

    assert plain.query() == {"status": 1, "fileListMode": "string", "fileList": ""}
    assert both.query() == {"status": 1, "fileListMode": "json", "fileList": []}
    vendor.run(30.0)

    sid = plain.path.sid
    assert plain.query() == {
        "status": IN_PROGRESS,
        "fileListMode": "string",
        "fileList": f"{sid}_a.m3u8",
        "sliceStartTime": EPOCH_MS + 3000,
    }
    names = [file.name for file in read_query({"serverResponse": both.query()}, host="h").files]
    assert names == [f"{both.path.sid}_b-_0.mp4", f"{both.path.sid}_b-.m3u8"]


def test_one_kind_of_media_is_told_alone() -> None:
    vendor = Vendor()
    running = vendor.record(recordingConfig={"streamTypes": 0})
    vendor.run(30.0)

    assert running.events == [40, 43, 42, 4]
    assert running.details(42)[0]["trackType"] == "audio"


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_last_events_come_in_one_of_the_orders(ending: tuple[str, ...]) -> None:
    numbers = {"leave": 41, "uploader_started": 30, "upload": 31, "session_exit": 11}
    seen = set()
    for seed in range(60):
        vendor = Vendor(seed=seed)
        running = vendor.record()
        vendor.run(30.0)
        running.stop()
        vendor.run()
        seen.add(tuple(running.events[5:]))

    assert tuple(numbers[name] for name in ending) in seen
    assert len(seen) == len(ENDINGS)


def test_without_a_publisher_it_ends_by_itself_and_uploads_nothing() -> None:
    vendor = Vendor()
    vendor.studio.publish("room1", present=False, now=0.0)
    running = vendor.record()

    vendor.run(31.0)
    assert running.query()["status"] == 6
    vendor.run()

    assert running.events == [40, 41, 11]
    assert running.details(41) == [{"leaveCode": 4}]
    assert running.truth.status == GONE


def test_the_idle_time_counts_from_when_the_publisher_left() -> None:
    vendor = Vendor()
    running = vendor.record(recordingConfig={"maxIdleTime": 50})
    vendor.run(100.0)
    running.silence()

    vendor.run(49.0)
    assert running.query()["status"] == IN_PROGRESS
    vendor.run(2.0)
    assert running.query()["status"] == 6


def test_a_publisher_who_comes_back_in_time_keeps_it_alive_and_begins_no_new_slice() -> None:
    vendor = Vendor()
    running = vendor.record(recordingConfig={"maxIdleTime": 50})
    vendor.run(100.0)
    running.silence()
    vendor.run(40.0)
    vendor.studio.publish("room1", present=True, now=vendor.now)

    vendor.run(60.0)

    assert running.query()["status"] == IN_PROGRESS
    states = [one["state"] for one in running.details(43)]
    assert states == [0, 1, 0]
    assert len(running.details(42)) == 1


@pytest.mark.parametrize(("backup", "number"), [(0.0, 31), (1.0, 32)])
def test_an_upload_to_the_backup_cloud_is_warned_of_and_told_as_such(
    backup: float, number: int
) -> None:
    vendor = Vendor(faults=Faults(backup=backup))
    running = vendor.record()
    vendor.run(30.0)

    answer = running.stopped()

    assert number in running.events
    assert (2 in running.events) == (number == 32)
    assert answer["uploadingStatus"] == ("backuped" if backup else "uploaded")


def test_what_the_api_knows_ends_with_the_resource_and_the_recording_goes_on() -> None:
    vendor = Vendor()
    running = vendor.record(hours=1)
    vendor.run(3599.0)
    assert running.query()["status"] == IN_PROGRESS

    vendor.run(2.0)

    with pytest.raises(Refusal) as caught:
        running.query()
    assert code(caught.value) == (404, 404)
    assert 33 in {message.event_type for message in vendor.run(120.0)}
    assert running.truth.status == IN_PROGRESS


def test_a_layout_replaces_the_whole_old_one() -> None:
    vendor = Vendor()
    running = vendor.record()
    vendor.run(5.0)
    region = {"x_axis": 0, "y_axis": 0.5, "width": 1, "height": 0.5}

    running.update_layout(mixedVideoLayout=3, layoutConfig=[region], backgroundColor="#FF0000")
    first = dict(running.recorder.wishes["layout"])
    running.update_layout(mixedVideoLayout=1)

    assert (first["backgroundColor"], len(first["layoutConfig"])) == ("#FF0000", 1)
    layout = running.recorder.wishes["layout"]
    assert (layout["backgroundColor"], layout["layoutConfig"]) == ("#000000", [])


def test_an_update_after_the_end_finds_nothing() -> None:
    vendor = Vendor()
    running = vendor.record()
    vendor.run(30.0)
    running.stop(async_stop=True)

    for change in (running.update, running.update_layout):
        with pytest.raises(Refusal) as caught:
            change()
        assert code(caught.value) == (404, 404)


def test_an_update_says_whom_to_record() -> None:
    vendor = Vendor()
    running = vendor.record()
    vendor.run(READY)
    wish = {"audioUidList": {"subscribeAudioUids": ["#allstream#"]}}

    assert running.update(streamSubscribe=wish)["sid"] == running.path.sid

    audio = running.recorder.wishes["streamSubscribe"]["audioUidList"]
    assert audio["subscribeAudioUids"] == ["#allstream#"]


@pytest.mark.parametrize("by_module", [False, True])
def test_numbers_count_everything_or_each_module_from_0(*, by_module: bool) -> None:
    vendor = Vendor(by_module=by_module)
    running = vendor.record()
    vendor.run(70.0)
    running.stop(async_stop=True)
    vendor.run()

    lanes: dict[int, list[int]] = {}
    for message in running.told:
        lane = message.payload["serviceType"] if by_module else 0
        lanes.setdefault(lane, []).append(message.sequence)
    assert set(lanes) == ({0, 1, 2} if by_module else {0})
    assert all(numbers == [*range(len(numbers))] for numbers in lanes.values())
