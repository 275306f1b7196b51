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
