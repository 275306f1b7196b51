import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.errors import UnreadableError
from agora_sidecar.agora.notifications import payload_bytes, read_details, read_notification

ENVELOPE = {
    "noticeId": "n-1",
    "productId": 3,
    "eventType": 40,
    "notifyMs": 1_700_000_003_000,
    "payload": {
        "cname": "room1",
        "uid": "900001",
        "sid": "0123456789abcdef0123456789abcdef",
        "sequence": 0,
        "sendts": 1_700_000_002_950,
        "serviceType": 1,
        "details": {"msgName": "recorder_started", "status": 0},
    },
}


def body(**changes: object) -> bytes:
    return json.dumps(ENVELOPE | changes).encode()


def test_a_documented_notification_is_read_whole() -> None:
    notice = read_notification(body())
    assert (notice.notice_id, notice.product_id, notice.event_type) == ("n-1", 3, 40)
    assert (notice.cname, notice.uid, notice.sequence) == ("room1", "900001", 0)
    assert (notice.notify_ms, notice.send_ms) == (1_700_000_003_000, 1_700_000_002_950)
    assert notice.sid == "0123456789abcdef0123456789abcdef"
    assert notice.body == body()
    assert not notice.is_check


def test_unknown_products_events_and_fields_flow_through() -> None:
    notice = read_notification(body(productId=999, eventType=12345, surprise=[1, {"a": None}]))
    assert (notice.product_id, notice.event_type) == (999, 12345)


def test_a_notification_of_another_product_has_its_channel_and_number_uid() -> None:
    notice = read_notification(body(productId=1, payload={"channelName": "c", "uid": 42}))
    assert (notice.cname, notice.uid, notice.sid) == ("c", "42", None)


def test_the_sid_may_stand_in_the_envelope() -> None:
    assert read_notification(body(sid="abc", payload={})).sid == "abc"


def test_an_absent_payload_and_time_are_no_error() -> None:
    assert read_notification(b'{"noticeId":"a","productId":3,"eventType":1}').notify_ms is None


def test_payload_fields_of_odd_types_are_left_alone() -> None:
    odd = {"cname": 5, "uid": [], "sid": {}, "sequence": "7", "sendts": True}
    notice = read_notification(body(payload=odd))
    assert (notice.cname, notice.uid, notice.sid, notice.sequence, notice.send_ms) == (None,) * 5


@pytest.mark.parametrize("uid", ["12121212", 12121212])
def test_the_consoles_check_is_recognised(uid: object) -> None:
    assert read_notification(body(payload={"cname": "test_webhook", "uid": uid})).is_check


@pytest.mark.parametrize("field", ["noticeId", "productId", "eventType", "notifyMs", "payload"])
@pytest.mark.parametrize("value", [True, 1.5, [], "", "x", -1, 2**63, 10**400])
def test_every_envelope_field_of_a_wrong_type_is_unreadable(field: str, value: object) -> None:
    if (field, value) == ("noticeId", "x"):
        value = "x" * 257
    with pytest.raises(UnreadableError) as caught:
        read_notification(body(**{field: value}))
    assert caught.value.status == 200
    assert caught.value.reason == "schema"


@pytest.mark.parametrize("field", ["noticeId", "productId", "eventType"])
def test_a_missing_envelope_field_is_unreadable_by_name(field: str) -> None:
    lacking = {name: value for name, value in ENVELOPE.items() if name != field}
    with pytest.raises(UnreadableError, match=field):
        read_notification(json.dumps(lacking).encode())


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b"<html>",
        b'{"noticeId":',
        b'{"noticeId":"a","productId":3,"eventType":1}x',
        b'{"noticeId":"\xff","productId":3,"eventType":1}',
        b'{"noticeId":"\\ud800","productId":3,"eventType":1}',
        b"\xef\xbb\xbf" + body(),
        b"\x00",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"noticeId":"a","productId":3,"eventType":1,"payload":{"sid":'
        + b"[" * 10_000
        + b"]" * 10_000
        + b"}}",
    ],
)
def test_what_is_not_json_as_documented_is_unreadable(odd: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_notification(odd)


def test_the_payload_is_given_back_byte_for_byte() -> None:
    odd = b'{ "payload" : {"b" : 1,  "a":[ ]} , "noticeId":"a","productId":3,"eventType":1}'
    assert payload_bytes(odd) == b'{"b" : 1,  "a":[ ]}'


def test_details_are_an_object_or_nothing() -> None:
    assert read_details(body()) == {"msgName": "recorder_started", "status": 0}
    assert read_details(body(payload={"details": "text"})) == {}
    assert read_details(body(payload={})) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_unreadable_ever_comes_of_any_bytes(odd: bytes) -> None:
    try:
        read_notification(odd)
    except UnreadableError:
        return


@given(st.dictionaries(st.sampled_from([*ENVELOPE, "sid"]), JSON))
def test_any_values_in_the_envelope_are_read_or_unreadable(changes: dict[str, object]) -> None:
    try:
        notice = read_notification(body(**changes))
    except UnreadableError:
        return
    assert notice.notice_id
