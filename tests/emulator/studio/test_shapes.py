"""Every event type of the catalogue is told by some recording, in the shape of the samples."""

import json
from pathlib import Path
from typing import Any

import pytest

from agora_sidecar.agora.events import NAMES as KNOWN
from agora_sidecar.agora.notifications import read_details, read_notification
from agora_sidecar.emulator.envelopes import envelope
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.studio.catalogue import CATALOGUE, NAMES, usual
from agora_sidecar.emulator.studio.message import Message, check_payload
from agora_sidecar.emulator.studio.task import move
from agora_sidecar.emulator.studio.transcoder import EVENTS, payload
from tests.emulator.virtual import PUSH, Vendor, page

SAMPLES = Path(__file__).parents[2] / "samples" / "agora" / "events"
SPELLED_OTHERWISE = ("as-documented", "older", "bare", "fileName", "filename")
POSTPONED = {"scene": 2, "appsCollection": {"combinationPolicy": "postpone_transcoding"}}
ON_DEMAND_ONLY = {13, 34, 46, 47, 60, 61}
"""Nothing in an order brings them about: without documented details, or another product's."""


def samples() -> list[Path]:
    return [
        path
        for path in sorted(SAMPLES.glob("*.json"))
        if not path.stem.endswith(SPELLED_OTHERWISE)
        and int(path.stem.partition("-")[0]) not in EVENTS
    ]


@pytest.fixture(scope="module")
def told() -> dict[int, list[Message]]:
    """What some recordings tell from start to end, by event type."""
    messages: dict[int, list[Message]] = {}

    def live(vendor: Vendor, **order: Any) -> None:
        running = vendor.record(**order)
        vendor.run(75.0)
        if vendor.studio.find(running.path.sid, vendor.now) and running.truth.status in {4, 5}:
            running.stop(async_stop=True)
        vendor.run()
        for message in vendor.told:
            messages.setdefault(message.event_type, []).append(message)

    live(Vendor())
    live(Vendor(faults=Faults(backup=1.0)), mode="individual", **POSTPONED)
    live(Vendor(), mode="individual", **POSTPONED)
    live(Vendor(), mode="individual", snapshotConfig={"fileType": ["jpg"]})
    live(Vendor(), mode="web", **page(PUSH))
    live(Vendor(), mode="web", **page(url="https://example.com/webgl"))
    live(Vendor(), mode="web", **page(url="https://e.com/never-ready", readyTimeout=10))
    live(Vendor(), token="wrong")
    vendor = Vendor()
    again = vendor.record()
    vendor.run(20.0)
    with pytest.raises(Exception):  # noqa: B017 - already started
        vendor.start(again.path.resource_id)
    lost = again.recorder
    vendor.studio.act(lost, move(lost.task, "fault", vendor.now), vendor.now)
    vendor.run(100.0)
    for message in vendor.told:
        messages.setdefault(message.event_type, []).append(message)
    return messages


def shape(value: Any) -> Any:
    """Keys and types; of a list, what its first item looks like."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.stem)
def test_an_event_has_the_shape_of_its_sample(path: Path, told: dict[int, list[Message]]) -> None:
    sample = json.loads(path.read_text())
    number = sample["eventType"]
    web = sample["payload"]["serviceScene"] == "web_record" or path.stem.endswith("-web")
    if number in ON_DEMAND_ONLY:
        assert shape(usual(number)[1]) == shape(sample["payload"]["details"])
        return
    shapes = [
        shape(message.payload)
        for message in told[number]
        if (message.payload["serviceScene"] == "web_record") == web or number == 100
    ]

    assert shape(sample["payload"]) in shapes
    assert sample["payload"]["serviceType"] == CATALOGUE[NAMES[number]].module


def test_every_event_is_told_by_some_recording_or_can_be_asked_for(
    told: dict[int, list[Message]],
) -> None:
    assert set(told) | ON_DEMAND_ONLY == set(NAMES)
    assert set(NAMES) | set(EVENTS) >= set(KNOWN)


@pytest.mark.parametrize("number", sorted(NAMES))
def test_the_usual_details_and_the_consoles_check_are_read_by_our_vocabulary(number: int) -> None:
    body = envelope("n", event_type=number, notify_ms=1, payload=check_payload(number, 1), sid=None)

    notification = read_notification(body)
    assert (notification.event_type, notification.cname) == (number, "test_webhook")
    assert read_details(body) == usual(number)[1]
    if number in KNOWN:
        assert usual(number)[1]["msgName"] == KNOWN[number]


@pytest.mark.parametrize("number", sorted(EVENTS))
def test_the_cloud_transcoders_events_have_the_shape_of_their_samples(number: int) -> None:
    (path,) = SAMPLES.glob(f"{number}-*.json")

    assert shape(payload(number, sequence=0, ms=1_700_000_000_000)) == shape(
        json.loads(path.read_text())["payload"]
    )


def test_answers_have_the_shape_of_their_samples() -> None:
    vendor = Vendor()
    orders: dict[str, dict[str, Any]] = {
        "mix-hls": {},
        "mix-hls-mp4": {"recordingFileConfig": {"avFileType": ["hls", "mp4"]}},
        "individual": {"mode": "individual"},
        "individual-snapshot": {"mode": "individual", "snapshotConfig": {"fileType": ["jpg"]}},
        "web": {"mode": "web", **page(PUSH)},
    }
    running = {name: vendor.record(cname=name, **order) for name, order in orders.items()}
    for name in orders:
        assert (
            shape(running[name].query()) == _sample("query", "mix-hls-no-file-yet")
            or name != "mix-hls"
        )
    vendor.run(70.0)
    for name in orders:
        assert shape(running[name].query()) == _sample("query", name), name
    assert shape(running["web"].stopped()) == _sample("stop", "web-payload")
    assert shape(running["mix-hls"].stopped()) == _sample("stop", "mix-hls")
    assert shape(running["individual-snapshot"].stopped()) == _sample("stop", "snapshot")


def _sample(folder: str, name: str) -> Any:
    path = SAMPLES.parent / folder / f"{name}.json"
    return shape(json.loads(path.read_text())["serverResponse"])
