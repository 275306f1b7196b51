from typing import Any

import pytest

from agora_sidecar.agora.recordings import IN_PROGRESS
from agora_sidecar.emulator.faults import Faults, shown
from agora_sidecar.emulator.studio.task import GONE
from tests.emulator.laboratory import CNAME, Build, Laboratory


async def test_faults_are_set_and_shown_without_credentials(laboratory: Laboratory) -> None:
    changes = {"lose": 0.25, "mute": {"room1": "end"}}

    answer = await laboratory.call("POST", "/emulator/faults", changes, auth=None)

    assert answer == (200, {**shown(Faults()), **changes})
    assert await laboratory.call("GET", "/emulator/faults", auth=None) == answer
    assert laboratory.emulator.faults == Faults(lose=0.25, mute={"room1": "end"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loose": 0.1}, "loose: no such fault; use one of lose"),
        ({"lose": 1.5}, "lose: 1.5 is not a number from 0 to 1; 0 turns it off"),
        ({"duplicate": 0.5, "lose": "0.1"}, "lose: '0.1' is not a number"),
        ({"addresses": "odd"}, "addresses: 'odd' is unknown; use one of normal"),
        ({"mute": {"room1": -1}}, "mute: -1 for 'room1'"),
        ([], "body: must be a JSON object"),
        (7, "body: must be a JSON object"),
    ],
)
async def test_a_wrong_fault_is_one_clear_400_and_changes_nothing(
    laboratory: Laboratory, changes: Any, message: str
) -> None:
    status, body = await laboratory.call("POST", "/emulator/faults", changes)

    assert status == 400
    assert body["error"].startswith(message)
    assert laboratory.emulator.faults == Faults()


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 10_000])
async def test_faults_that_are_no_json_are_a_400(laboratory: Laboratory, data: bytes) -> None:
    status, body = await laboratory.call("POST", "/emulator/faults", data=data)

    assert status == 400
    assert body["error"].startswith("body: not valid JSON")


async def test_the_journal_tells_what_was_sent_and_how_recordings_are(
    laboratory: Laboratory,
) -> None:
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, IN_PROGRESS)
    await laboratory.stop(resource_id, sid)
    await laboratory.until_status(sid, GONE)
    await laboratory.settle()

    _, journal = await laboratory.call("GET", "/emulator/journal", auth=None)

    recording = journal.pop("recordings")[sid]
    assert journal == {
        "sent": 9,
        "answers": {"200": 9},
        "notices": 9,
        "lost": 0,
        "gaveUp": 0,
        "duplicatesSent": 0,
        "disordered": 0,
        "rotations": 0,
        "overlappingUpdates": 0,
        "calls": {"acquire": 1, "start": 1, "stop": 1},
    }
    assert recording["events"] == laboratory.receiver.event_types
    assert recording["gone"] is True
    assert recording["endedAt"] > recording["startedAt"]


async def test_addresses_are_rotated_on_demand(build: Build) -> None:
    laboratory = await build(sources=("127.0.0.1", "127.0.0.2"), published=1)

    answer = await laboratory.call("POST", "/emulator/rotate", auth=None)

    assert answer == (200, {"addresses": ["127.0.0.2"]})
    assert laboratory.emulator.addresses == ("127.0.0.2",)


async def test_a_publisher_is_taken_away_on_demand(laboratory: Laboratory) -> None:
    wish = {"cname": CNAME, "present": False}
    assert await laboratory.call("POST", "/emulator/publisher", wish, auth=None) == (200, wish)
    resource_id, sid = await laboratory.record()

    status, body = await laboratory.stop(resource_id, sid)

    assert (status, body["code"]) == (206, 435)


@pytest.mark.parametrize(
    "wish", [{}, {"cname": "x"}, {"cname": 1, "present": True}, {"cname": "x", "present": 1}]
)
async def test_a_wish_for_a_publisher_of_another_form_is_a_400(
    laboratory: Laboratory, wish: dict[str, Any]
) -> None:
    status, body = await laboratory.call("POST", "/emulator/publisher", wish)

    assert status == 400
    assert "give" in body["error"]


async def test_what_was_asked_can_be_asked_for(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()
    await laboratory.query(resource_id, sid)
    await laboratory.call("GET", "/nowhere")

    _, all_ = await laboratory.call("GET", "/emulator/requests", auth=None)
    _, starts = await laboratory.call("GET", "/emulator/requests?endpoint=start", auth=None)
    _, of_one = await laboratory.call("GET", f"/emulator/requests?sid={sid}", auth=None)
    _, last = await laboratory.call("GET", "/emulator/requests?limit=1", auth=None)

    assert [call["endpoint"] for call in all_["requests"]] == ["acquire", "start", "query", ""]
    (start,) = starts["requests"]
    assert start["status"] == 200
    assert '"storageConfig"' in start["body"]
    assert sid in start["answer"]
    assert [call["endpoint"] for call in of_one["requests"]] == ["query"]
    assert [call["status"] for call in last["requests"]] == [404]


@pytest.mark.parametrize("limit", ["x", "-1", "1" * 10, "٣"])
async def test_a_limit_that_is_no_number_is_a_400(laboratory: Laboratory, limit: str) -> None:
    status, body = await laboratory.call("GET", f"/emulator/requests?limit={limit}")

    assert status == 400
    assert body["error"].startswith("limit: ")


async def test_a_recording_can_be_seen_whole(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()
    layout = {"mixedVideoLayout": 1}
    await laboratory.update(resource_id, sid, "updateLayout", **layout)

    _, seen = await laboratory.call("GET", f"/emulator/recordings/{sid}", auth=None)

    assert (seen["ordered"]["cname"], seen["now"]["publisher"]) == (CNAME, True)
    assert seen["wishes"]["layout"]["mixedVideoLayout"] == 1


async def test_a_worker_is_lost_on_demand(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, IN_PROGRESS)

    status, _ = await laboratory.call("POST", f"/emulator/recordings/{sid}/failover", auth=None)

    assert status == 200
    assert (await laboratory.query(resource_id, sid))[0] == 404
    _, journal = await laboratory.call("GET", "/emulator/journal", auth=None)
    assert journal["recordings"][sid]["failingOver"] is True
    await laboratory.until_status(sid, IN_PROGRESS)
    await laboratory.settle()
    assert 12 in laboratory.receiver.event_types


async def test_a_recording_dies_on_demand(laboratory: Laboratory) -> None:
    _, sid = await laboratory.record()

    answer = await laboratory.call(
        "POST", f"/emulator/recordings/{sid}/death", {"death": "vanish"}, auth=None
    )

    assert answer == (200, {"sid": sid, "death": "vanish"})
    await laboratory.until_status(sid, GONE)


@pytest.mark.parametrize(
    ("path", "wish", "message"),
    [
        ("/emulator/recordings/{sid}/death", {"death": "page_timeout"}, "death: 'page_timeout'"),
        ("/emulator/recordings/{sid}/death", {}, "give"),
        ("/emulator/recordings/nobody/death", {"death": "storage"}, "sid: no recording 'nobody'"),
        ("/emulator/recordings/nobody/failover", {}, "sid: no recording 'nobody'"),
        ("/emulator/events", {"eventType": 9999, "sid": "{sid}"}, "eventType: 9999 is not one of"),
        ("/emulator/events", {"eventType": "60", "sid": "{sid}"}, "Expected `int`"),
        ("/emulator/events", {"eventType": 60}, "sid: no recording ''"),
    ],
)
async def test_what_cannot_be_done_is_a_400_that_says_why(
    laboratory: Laboratory, path: str, wish: dict[str, Any], message: str
) -> None:
    _, sid = await laboratory.record()

    status, body = await laboratory.call("POST", path.format(sid=sid), wish, auth=None)

    assert status == 400
    assert message in body["error"]


async def test_a_stopped_recording_dies_no_more(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, IN_PROGRESS)
    await laboratory.stop(resource_id, sid)

    status, body = await laboratory.call("POST", f"/emulator/recordings/{sid}/failover")

    assert (status, body["error"]) == (400, "sid: the recording does not run, its status is 6")


async def test_any_event_is_told_on_demand(laboratory: Laboratory) -> None:
    _, sid = await laboratory.record()

    for wish in (
        {"eventType": 60, "sid": sid},
        {"eventType": 13, "sid": sid, "details": {"now": True}},
        {"eventType": 112},
    ):
        assert (await laboratory.call("POST", "/emulator/events", wish, auth=None))[0] == 200
    await laboratory.until(lambda: len(laboratory.receiver.arrivals) == 3, step=0.0)

    arrivals = {arrival.event_type: arrival.json for arrival in laboratory.receiver.arrivals}
    vod, registered, transcoder = arrivals[60], arrivals[13], arrivals[112]
    assert vod["payload"]["details"] == {"msgName": "vod_started", "aliVodInfo": {"videoId": "v"}}
    assert registered["payload"]["details"]["now"] is True
    assert "sid" not in transcoder["payload"]


async def test_the_consoles_check_sends_one_event_of_each_type(laboratory: Laboratory) -> None:
    _, body = await laboratory.call("POST", "/emulator/check", auth=None)

    assert set(body["answers"].values()) == {200}
    assert len(body["answers"]) == len(laboratory.receiver.arrivals) == 31
    assert laboratory.receiver.forged == 0
    uids = {arrival.json["payload"]["uid"] for arrival in laboratory.receiver.arrivals}
    assert uids == {"12121212"}
    assert laboratory.emulator.journal.sent == 0
