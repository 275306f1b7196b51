from typing import Any

import pytest

from agora_sidecar.agora.recordings import ABNORMAL, IN_PROGRESS
from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.studio.rules import MOST_SWITCHES
from agora_sidecar.emulator.studio.task import ADRIFT, GONE, move
from tests.emulator.virtual import STORAGE, Running, Vendor, code, page

TRANSCODING = {"recordingConfig": {"transcodingConfig": {"width": 3000, "height": 3000}}}


@pytest.mark.parametrize(
    ("wrong", "module", "number"),
    [
        ({"storageConfig": {**STORAGE, "vendor": 99}}, 1, 32),
        ({"storageConfig": {**STORAGE, "region": 17}}, 1, 32),
        ({"storageConfig": {**STORAGE, "bucket": "wrong-bucket"}}, 1, 32),
        ({"storageConfig": {**STORAGE, "secretKey": "wrong"}}, 1, 32),
        ({"token": "expired-token"}, 0, 109),
        ({"token": "wrong-token"}, 0, 110),
        (TRANSCODING, 0, 2),
        ({"recordingConfig": {"transcodingConfig": {"bitrate": 6501}}}, 0, 2),
    ],
)
def test_what_is_wrong_is_accepted_and_dies_soon(
    wrong: dict[str, Any], module: int, number: int
) -> None:
    vendor = Vendor()
    running = vendor.record(**wrong)

    vendor.run()

    error = running.details(1)[0]
    assert (error["module"], error["errorCode"], error["errorLevel"]) == (module, number, 5)
    assert running.details(11) == [{"exitStatus": 1}]
    assert not {31, 32} & set(running.events)
    assert vendor.now < 60.0
    with pytest.raises(Refusal) as caught:
        running.query()
    assert code(caught.value) == (404, 404)


def test_a_dying_recording_says_20_for_a_moment_and_can_be_started_anew() -> None:
    vendor = Vendor()
    running = vendor.record(token="wrong")
    vendor.run(4.0)

    assert running.query()["status"] == ABNORMAL
    assert vendor.record().query()["status"] == 1


@pytest.mark.parametrize(
    ("wrong", "events", "number"),
    [
        (page(url="https://nowhere.invalid/"), [70, 71, 11], 5),
        (page(url="https://example.com/webgl"), [70, 72, 71, 11], 2),
        (page(url="https://example.com/never-ready", readyTimeout=10), [70, 73, 4, 71, 11], 4),
    ],
)
def test_a_page_that_cannot_be_recorded_says_why(
    wrong: dict[str, Any], events: list[int], number: int
) -> None:
    vendor = Vendor()
    running = vendor.record(mode="web", **wrong)

    vendor.run()

    assert running.details(71)[0]["code"] == number
    assert [event for event in running.events if event != 4] == [e for e in events if e != 4]
    assert running.details(11) == [{"exitStatus": 1}]


def lose_worker(running: Running) -> None:
    recorder, now = running.recorder, running.vendor.now
    running.vendor.studio.act(recorder, move(recorder.task, "fault", now), now)


def test_a_lost_worker_is_replaced_under_a_new_uid_after_a_while_of_404() -> None:
    vendor = Vendor()
    running = vendor.record()
    vendor.run(100.0)
    before = running.query()["fileList"]

    lose_worker(running)

    assert running.truth.status == ADRIFT
    for ask in (running.query, running.stop, running.update):
        with pytest.raises(Refusal) as caught:
            ask()
        assert code(caught.value) == (404, 404)
    told = vendor.run(90.0)
    failover = told[0]
    new_uid = str(failover.payload["details"]["newUid"])
    assert (failover.event_type, failover.payload["uid"]) == (12, "900001")
    assert {m.payload["uid"] for m in told[1:]} == {new_uid}
    assert [m.event_type for m in told[1:5]] == [40, 43, 44, 42]
    assert [m.sequence for m in told[1:5]] == [0, 1, 2, 3]
    assert running.query()["fileList"] == f"bak0_{before}"
    assert running.query()["status"] == IN_PROGRESS
    running.stop(async_stop=True)
    vendor.run()
    ends = [m.payload["uid"] for m in running.told if m.event_type in {11, 31}]
    assert sorted(ends) == sorted([new_uid, "900001"] * 2)


def test_the_fourth_fault_is_not_repaired_and_nobody_is_told() -> None:
    vendor = Vendor()
    running = vendor.record()
    for number in range(MOST_SWITCHES):
        vendor.run(100.0)
        lose_worker(running)
        vendor.run(100.0)
        assert running.query()["fileList"].startswith(f"bak{number}_")
    lose_worker(running)
    told = len(running.told)

    vendor.run()

    assert len(running.told) == told
    assert running.truth.status == GONE


def test_workers_are_lost_by_chance() -> None:
    vendor = Vendor(faults=Faults(failover=1.0))
    running = vendor.record(recordingConfig={"maxIdleTime": 3600})

    vendor.run(700.0)

    assert running.events.count(12) == 1


@pytest.mark.parametrize("mode", ["mix", "individual", "web"])
def test_recordings_die_by_chance_of_all_their_deaths(mode: str) -> None:
    ends = set()
    for seed in range(60):
        vendor = Vendor(seed=seed, faults=Faults(die=1.0))
        running = vendor.record(mode=mode, **(page() if mode == "web" else {}))
        vendor.run(200.0)
        assert running.truth.status == GONE
        number = 71 if mode == "web" else 1
        key = "code" if mode == "web" else "errorCode"
        ends.add(running.details(number)[0][key] if running.details(number) else None)

    assert ends == ({2, 3, 4, 5, 6, None} if mode == "web" else {32, 47, 109, 110, 2, 52, None})


def test_a_slow_upload_takes_longer_than_a_stop_waits() -> None:
    vendor = Vendor(faults=Faults(slow_upload=1.0))
    running = vendor.record()
    vendor.run(30.0)
    recorder, waits = running.stop()

    vendor.run(20.0)

    assert waits
    assert not recorder.left
    assert vendor.account.stopped(recorder)["serverResponse"]["uploadingStatus"] == "unknown"
    vendor.run(120.0)
    assert recorder.left
