from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.requests import (
    Wishes,
    check_acquire,
    read_async_stop,
    read_order,
    read_wishes,
)

GOOD: dict[str, Any] = {"cname": "room1", "uid": "900001", "clientRequest": {}}


def refused(refusal: Refusal) -> bool:
    return refusal.status == 400 and refusal.body["code"] == 2 and bool(refusal.body["reason"])


def test_a_good_body_is_read() -> None:
    order = read_order(msgspec.json.encode({**GOOD, "more": [1]}))

    assert (order.cname, order.uid, order.client_request) == ("room1", "900001", {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b'{"cname":"\xff"}',
        b"[" * 10_000,
        b'{"cname":' + b"9" * 5000 + b"}",
        b"<html>",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        read_order(body)

    assert refused(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cname", None),
        ("cname", ""),
        ("cname", 7),
        ("cname", "ü" * 513),
        ("uid", 900001),
        ("uid", ""),
        ("uid", "0"),
        ("uid", "-1"),
        ("uid", "4294967296"),
        ("uid", "9" * 5000),
        ("uid", "１２"),
        ("uid", "12\n"),
        ("uid", "user"),
        ("clientRequest", None),
        ("clientRequest", []),
        ("clientRequest", "{}"),
    ],
)
def test_a_field_of_a_wrong_type_or_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(Refusal, match=field) as caught:
        read_order(msgspec.json.encode({**GOOD, field: value}))

    assert refused(caught.value)


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != field}

    with pytest.raises(Refusal, match=field):
        read_order(msgspec.json.encode(body))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    refusal = None
    try:
        read_order(body)
    except Refusal as caught:
        refusal = caught

    assert refusal is None or refused(refusal)


@pytest.mark.parametrize("hours", [0, 721, "72", None, True, 1.5])
def test_acquire_refuses_wrong_hours_as_the_vendor_does(hours: Any) -> None:
    with pytest.raises(Refusal, match="Acquire: invalid resourceExpiredHour value!"):
        check_acquire({"resourceExpiredHour": hours})


@pytest.mark.parametrize("scene", [1, 2, 3, "0", None, False])
def test_acquire_refuses_other_scenes(scene: Any) -> None:
    with pytest.raises(Refusal, match="scene"):
        check_acquire({"scene": scene})


def test_acquire_lets_a_wrong_start_parameter_pass() -> None:
    check_acquire({"scene": 0, "resourceExpiredHour": 720, "startParameter": "nonsense"})


def test_a_start_has_defaults() -> None:
    assert read_wishes({"storageConfig": {}}) == Wishes(max_idle=30, mp4=False, prefix="")


def test_a_start_may_wish_for_more() -> None:
    wishes = read_wishes(
        {
            "storageConfig": {"fileNamePrefix": ["a", "b2"]},
            "recordingConfig": {"maxIdleTime": 2_592_000, "transcodingConfig": "passes"},
            "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
        }
    )

    assert wishes == Wishes(max_idle=2_592_000, mp4=True, prefix="a/b2/")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "storageConfig"),
        ({"storageConfig": []}, "storageConfig"),
        ({"storageConfig": {}, "recordingConfig": 7}, "recordingConfig"),
        ({"storageConfig": {}, "recordingConfig": {"maxIdleTime": 4}}, "maxIdleTime"),
        ({"storageConfig": {}, "recordingConfig": {"maxIdleTime": "30"}}, "maxIdleTime"),
        ({"storageConfig": {}, "recordingConfig": {"maxIdleTime": True}}, "maxIdleTime"),
        ({"storageConfig": {}, "recordingConfig": {"maxIdleTime": 10**30}}, "maxIdleTime"),
        ({"storageConfig": {}, "recordingFileConfig": []}, "recordingFileConfig"),
        ({"storageConfig": {}, "recordingFileConfig": {"avFileType": ["mp4"]}}, "avFileType"),
        ({"storageConfig": {}, "recordingFileConfig": {"avFileType": "hls"}}, "avFileType"),
        ({"storageConfig": {"fileNamePrefix": "a"}}, "fileNamePrefix"),
        ({"storageConfig": {"fileNamePrefix": ["a/b"]}}, "fileNamePrefix"),
        ({"storageConfig": {"fileNamePrefix": [1]}}, "fileNamePrefix"),
        ({"storageConfig": {"fileNamePrefix": ["a" * 128]}}, "fileNamePrefix"),
    ],
)
def test_a_start_against_the_rules_is_refused_by_name(request_: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal, match=field) as caught:
        read_wishes(request_)

    assert refused(caught.value)


def test_a_stop_waits_unless_it_is_asked_not_to() -> None:
    assert read_async_stop({}) is False
    assert read_async_stop({"async_stop": True}) is True
    with pytest.raises(Refusal, match="async_stop"):
        read_async_stop({"async_stop": "true"})
