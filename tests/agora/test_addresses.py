import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.addresses import MAX_HOSTS, read_hosts
from agora_sidecar.agora.errors import AddressListError


def list_body(*values: Any, field: str = "primaryIP") -> bytes:
    return json.dumps({"data": {"service": {"hosts": [{field: v} for v in values]}}}).encode()


def reason(body: bytes) -> str:
    with pytest.raises(AddressListError) as caught:
        read_hosts(body)
    return caught.value.reason


def outcome(body: bytes) -> str:
    try:
        return "hosts" if read_hosts(body) else "nothing"
    except AddressListError as error:
        return error.reason


def test_every_host_of_the_documented_body_is_read_in_order() -> None:
    assert read_hosts(list_body("101.36.1.2", "101.36.1.1")) == ("101.36.1.2", "101.36.1.1")


@pytest.mark.parametrize("field", ["primaryIP", "PrimaryIP", "primaryIp", "PRIMARYIP"])
def test_the_field_is_found_in_any_case(field: str) -> None:
    assert read_hosts(list_body("101.36.1.1", field=field)) == ("101.36.1.1",)


def test_other_fields_do_no_harm() -> None:
    host = {"backupIP": "10.0.0.1", "primaryIP": "101.36.1.1", "region": None}
    body = {"data": {"service": {"hosts": [host], "x": 1}, "y": []}, "success": True}

    assert read_hosts(json.dumps(body).encode()) == ("101.36.1.1",)


@pytest.mark.parametrize(
    ("host", "value"),
    [({}, None), (None, None), ("101.36.1.1", None), ({"primaryIP": 7}, 7), ([], None)],
)
def test_a_host_without_a_text_is_passed_on_to_be_judged(host: object, value: object) -> None:
    body = json.dumps({"data": {"service": {"hosts": [host]}}}).encode()

    assert read_hosts(body) == (value,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b'{"data": {"service": {"hosts": [{"primaryIP": "101.36.',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"data": {"service": {"hosts": ' + b"[" * 10_000,
    ],
)
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    assert reason(body) == "not_json"


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"7",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": {"service": []}}',
        b'{"data": {"service": {"hosts": null}}}',
        b'{"data": {"service": {"hosts": {"primaryIP": "101.36.1.1"}}}}',
        b'{"message": "Invalid authentication credentials"}',
    ],
)
def test_another_shape_is_no_list(body: bytes) -> None:
    assert reason(body) == "schema"


def test_an_empty_list_is_an_error_and_no_news() -> None:
    assert reason(list_body()) == "empty"


def test_far_too_many_hosts_are_not_even_looked_at() -> None:
    assert reason(list_body(*["101.36.1.1"] * (MAX_HOSTS + 1))) == "too_many"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "service", "hosts", "primaryIP", "x"]), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_a_list_of_values_or_an_error_with_a_reason(value: Any) -> None:
    assert outcome(json.dumps(value).encode()) in {"hosts", "schema", "empty", "not_json"}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_of_values_or_an_error_with_a_reason(body: bytes) -> None:
    assert outcome(body) in {"hosts", "schema", "empty", "not_json"}
