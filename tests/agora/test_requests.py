import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_sidecar.agora import requests
from agora_sidecar.agora.errors import Violation
from agora_sidecar.agora.requests import BODIES, check
from agora_sidecar.agora.requests.model import Property
from agora_sidecar.agora.requests.table import Row, names
from tests.agora.reference_properties import REFERENCE
from tests.agora.request_bodies import FULL, LEAST, SECRETS, Given, full, order, table
from tests.agora.request_breaks import breaking
from tests.agora.valid_bodies import valid_bodies

TABLE = table()
IDS = [f"{call} {row.id}" for call, row in TABLE]


@pytest.mark.parametrize("body", [*FULL, *LEAST], ids=lambda g: f"{g.call}-{g.mode}")
def test_what_the_reference_allows_is_allowed(body: Given) -> None:
    assert check(body.call, body.body, mode=body.mode) == ()


@pytest.mark.parametrize(("call", "row"), TABLE, ids=IDS)
def test_each_rule_is_broken_alone_and_told_with_its_path(call: str, row: Row) -> None:
    bodies = list(breaking(call, row))
    assert bodies
    for broken, path in bodies:
        found = check(broken.call, broken.body, mode=broken.mode)
        assert any(v.path == path and v.rule.startswith(row.text) for v in found), (broken, found)
        # what follows from it names it, or is of the same object
        assert all(follows(v, path) for v in found), found


def follows(violation: Violation, path: str) -> bool:
    other, holder, last = violation.path, *path.rpartition(".")[::2]
    same = other.startswith(path) or path.startswith(other) or other.rpartition(".")[0] == holder
    return same or last in violation.rule


NEWER = {
    # where what followed the reference says otherwise, or the reference contradicts itself
    "acquire clientRequest": "required since 2026",
    "start clientRequest.storageConfig.extensionParams.sse": "optional in the OpenAPI document",
    "start clientRequest.storageConfig.extensionParams.tag": "optional in the OpenAPI document",
    "start clientRequest.recordingConfig.transcodingConfig.backgroundConfig": "an Array elsewhere",
    "update clientRequest.rtmpPublishConfig.outputs[].rtmpUrl": "an output without one is none",
    "update clientRequest.storageConfig": "optional since 2026",
    "update clientRequest.storageConfig.extensionParams.sse": "optional in the OpenAPI document",
    "update clientRequest.storageConfig.extensionParams.tag": "optional in the OpenAPI document",
}
KINDS = {"String": {str}, "Number": {int}, "Float": {float}, "Boolean": {bool}}
KINDS |= {"Array": {list}, "Object": {dict}}


def known(call: str) -> dict[str, Property]:
    return {
        spelling: found
        for path, found in names(BODIES[call])
        for spelling in (path, *(f"{path.rpartition('.')[0]}.{other}" for other in found.also))
    }


def test_every_property_of_the_reference_has_a_field_with_its_type() -> None:
    odd = []
    for line in REFERENCE.strip().splitlines():
        call, path, kind, *required = line.split()
        found = known(call).get(path)
        assert found is not None, f"no model has {path}"
        agreed = (found.shape.kind in KINDS[kind], found.required) == (True, bool(required))
        odd += [] if agreed else [f"{call} {path}"]
    assert odd == list(NEWER)


def test_what_is_beyond_the_reference_is_said() -> None:
    lines = {tuple(line.split()[:2]) for line in REFERENCE.strip().splitlines()}
    more = {
        path
        for call in BODIES
        for path, _ in names(BODIES[call])
        if (call, path) not in lines and "startParameter." not in path
    }
    assert {path.rpartition(".")[2] for path in more} == {
        "endpoint",  # of S3-compatible storage, since 2025-06-27
        "privateParams",
        "regionAffinity",
        "unSubscribeAudioUids",  # the spelling that goes over the wire
        "unSubscribeVideoUids",
    }


@pytest.mark.parametrize("given_body", FULL, ids=lambda g: f"{g.call}-{g.mode}")
def test_keys_in_the_wrong_case_are_told(given_body: Given) -> None:
    for path in list(keys(given_body.body)):
        *holders, last = path
        body = deepcopy(given_body.body)
        holder: Any = body
        for step in holders:
            holder = holder[step]
        holder[last.upper()] = holder.pop(last)
        told = check(given_body.call, body, mode=given_body.mode)
        assert any(
            v.path.endswith(last.upper()) and v.rule == f"must be written {last}" for v in told
        ), (path, told)


def keys(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(name, str):
            yield (*at, name)
        if isinstance(inner, dict | list):
            yield from keys(inner, (*at, name))


def test_all_that_is_wrong_is_told_at_once_with_types_and_without_values() -> None:
    body = full("start", "mix")
    body["uid"] = 527841
    storage = body["clientRequest"]["storageConfig"]
    storage |= {"vendor": "1", "secretKey": ["storage-secret"], "accessKey": ""}
    del storage["bucket"]
    body["clientRequest"]["recordingConfig"]["transcodingConfig"]["layoutConfig"][0]["alpha"] = 2
    told = sorted(map(str, check("start", body, mode="mix")))
    window = "clientRequest.recordingConfig.transcodingConfig.layoutConfig[0]"
    assert told == [
        f"{window}.alpha must be from 0 to 1 (Number)",
        "clientRequest.storageConfig.accessKey must not be empty (String)",
        "clientRequest.storageConfig.bucket is required (missing)",
        "clientRequest.storageConfig.secretKey must be a String (Array)",
        "clientRequest.storageConfig.vendor must be a whole Number (String)",
        "uid must be a String (Number)",
    ]


def test_no_secret_is_in_what_is_told() -> None:
    for call, row in TABLE:
        for broken, _ in breaking(call, row):
            told = str(check(broken.call, broken.body, mode=broken.mode))
            assert not any(secret in told for secret in SECRETS)


def test_a_model_shows_no_secret() -> None:
    storage = requests.StorageConfig(
        vendor=1, region=0, bucket="b", access_key="access-secret", secret_key="storage-secret"
    )
    wish = requests.StartClientRequest(
        token="t0ken-secret",
        storage_config=storage,
        recording_config=requests.RecordingConfig(channel_type=0, secret="key-secret", salt="s"),
    )
    assert "secret'" not in repr(wish) and "bucket='b'" in repr(wish)
    assert requests.as_json(wish)["storageConfig"]["secretKey"] == "storage-secret"


def test_a_typed_model_is_checked_as_its_json() -> None:
    body = requests.StopRequest(
        cname="room", uid="0", client_request=requests.StopClientRequest(async_stop=True)
    )
    assert [v.path for v in check("stop", body, mode="mix")] == ["uid"]
    assert requests.as_json(body) == order({"async_stop": True}, cname="room", uid="0")


def test_what_no_model_names_passes_untouched() -> None:
    body = full("start", "mix") | {"new": {"deep": [1, {"x": None}]}}
    body["clientRequest"]["storageConfig"]["newer"] = "x"
    assert check("start", body, mode="mix") == ()
    assert requests.spelled("start", body) == body


def test_other_spellings_in_use_are_sent_as_the_vendor_reads_them() -> None:
    body = full("start", "mix")
    config = body["clientRequest"]["recordingConfig"]
    del config["subscribeAudioUids"]
    config["unsubscribeAudioUids"] = ["7"]
    assert check("start", body, mode="mix") == ()
    sent = requests.spelled("start", body)["clientRequest"]["recordingConfig"]
    assert sent["unSubscribeAudioUids"] == ["7"] and "unsubscribeAudioUids" not in sent
    config["unSubscribeAudioUids"] = ["7"]
    [told] = check("start", body, mode="mix")
    assert told.rule == "is given as unSubscribeAudioUids too"


def test_the_go_clients_capital_letter_is_understood() -> None:
    body = full("start", "web")
    services = body["clientRequest"]["extensionServiceConfig"]["extensionServices"]
    services[0]["serviceParam"]["VideoBitrate"] = services[0]["serviceParam"].pop("videoBitrate")
    assert check("start", body, mode="web") == ()
    sent = requests.spelled("start", body)
    [recorder, _] = sent["clientRequest"]["extensionServiceConfig"]["extensionServices"]
    assert recorder["serviceParam"]["videoBitrate"] == 2000


def test_a_start_parameter_is_held_to_the_rules_of_start() -> None:
    body = full("acquire", "")
    body["clientRequest"]["startParameter"]["recordingConfig"]["maxIdleTime"] = 4
    [told] = check("acquire", body)
    assert told.path == "clientRequest.startParameter.recordingConfig.maxIdleTime"


def test_the_scene_tells_which_modes_are_possible() -> None:
    web = full("acquire", "")
    web["clientRequest"]["scene"] = 1
    told = {v.path for v in check("acquire", web)}
    assert "clientRequest.startParameter.recordingConfig" in told
    long = order({"scene": 1}, cname="x" * 100)
    assert check("acquire", long) == ()
    long["clientRequest"]["scene"] = 0
    assert [v.path for v in check("acquire", long)] == ["cname"]


@pytest.mark.parametrize(
    ("call", "mode", "rule"),
    [
        ("start", "composite", "must be one of individual, mix, web"),
        ("stop", "MIX", "must be one of individual, mix, web"),
        ("updateLayout", "web", "must be mix"),
    ],
)
def test_a_wrong_mode_in_the_path_is_told(call: str, mode: str, rule: str) -> None:
    [told] = check(call, full("stop", "mix"), mode=mode)
    assert (told.path, told.rule) == ("mode", rule)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FULL), JSON, st.data())
def test_nonsense_anywhere_is_told_or_passes_and_never_raises(
    given_body: Given, nonsense: Any, data: st.DataObject
) -> None:
    body = deepcopy(given_body.body)
    *holders, last = data.draw(st.sampled_from(list(keys(body))))
    holder: Any = body
    for step in holders:
        holder = holder[step]
    holder[last] = nonsense
    check(given_body.call, body, mode=given_body.mode)
    requests.spelled(given_body.call, body)
    check(given_body.call, nonsense, mode=given_body.mode)
    requests.spelled(given_body.call, nonsense)


def test_a_body_as_deep_as_a_reader_takes_it_is_no_trouble() -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"clientRequest": deep, "layoutConfig": [deep]} if deep else {"x": 1}
    assert check("start", {"clientRequest": {"recordingConfig": deep}}, mode="mix")


@settings(max_examples=80, deadline=None)
@given(valid_bodies())
def test_whatever_the_rules_allow_is_allowed_and_its_model_says_the_same(body: Given) -> None:
    assert check(body.call, body.body, mode=body.mode) == ()
    assert json.loads(msgspec.json.encode(requests.spelled(body.call, body.body))) is not None
