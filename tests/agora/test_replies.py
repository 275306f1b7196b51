import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.errors import (
    ApiError,
    CredentialsError,
    LeavingError,
    NewAcquireError,
    NoDataError,
    NoWorkerError,
    RefusedError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.recordings import IN_PROGRESS, READY, STARTING, File
from agora_sidecar.agora.replies import (
    Output,
    QueryReply,
    Service,
    StopReply,
    decipher,
    read_query,
    read_stop,
)
from tests.agora.samples import FOLDER, json_sample, sample

HOST = "api.example"
AT = 1_700_000_004_000
BEHIND_A_TASK = ("query", "update", "updateLayout")

GATEWAY = [
    (400, "appid is invalid", CredentialsError),
    (400, "invalid appid", CredentialsError),
    (401, "Unauthorized", CredentialsError),
    (401, "Invalid authentication credentials", CredentialsError),
    (403, "You cannot consume this service", CredentialsError),
    (404, "no Route matched with those values", UnexpectedAnswerError),
    (429, "API rate limit exceeded", SlowDownError),
]
SERVICE = [
    ("acquire", 400, 2, "Acquire: invalid resourceExpiredHour value!", RefusedError),
    ("acquire", 400, 400, "invalid_appid", CredentialsError),
    ("acquire", 400, 401, "invalid_channel_name", RefusedError),
    ("acquire", 400, 405, "no_active_status", CredentialsError),
    ("acquire", 400, 406, "vendor_over_load", SlowDownError),
    ("acquire", 500, 500, "internal_error", RetryLaterError),
    ("acquire", 500, 501, "no_worker_manager_available", RetryLaterError),
    ("acquire", 500, 504, "allocate_timeout", RetryLaterError),
    ("start", 201, 7, "already started", RefusedError),
    ("start", 206, 65, "request not completed", RetryLaterError),
    ("start", 400, 2, "request_hash mismatch!", RefusedError),
    ("start", 400, 53, "task conflict", RefusedError),
    ("start", 500, 502, "Failed to allocate worker", NewAcquireError),
    ("start", 500, 62, "request timeout", RetryLaterError),
    ("start", 500, 15, "", RetryLaterError),
    *((call, 206, 65, "request not completed", RetryLaterError) for call in BEHIND_A_TASK),
    *((call, 400, 2, "free text", RefusedError) for call in BEHIND_A_TASK),
    *((call, 404, 404, "failed to find worker", NoWorkerError) for call in BEHIND_A_TASK),
    *((call, 504, 62, "request timeout", RetryLaterError) for call in BEHIND_A_TASK),
    ("stop", 206, 65, "request not completed", RetryLaterError),
    ("stop", 206, 50, "upload timed out", RetryLaterError),
    ("stop", 206, 435, "no recorded data", NoDataError),
    ("stop", 400, 2, "free text", RefusedError),
    ("stop", 400, 49, "invalid operation", LeavingError),
    ("stop", 404, 404, "Failed to find worker.", NoWorkerError),
    ("stop", 504, 62, "request timeout", RetryLaterError),
    ("start", 400, 432, "", RefusedError),
    ("start", 400, 433, "", NewAcquireError),
    ("query", 400, 1003, "", RefusedError),
    ("query", 500, 501, "recording service is exiting", RetryLaterError),
]


def failure(status: int, body: bytes, *, call: str = "query") -> ApiError:
    with pytest.raises(ApiError) as caught:
        decipher(call, host=HOST, status=status, body=body)
    return caught.value


@pytest.mark.parametrize(("status", "message", "kind"), GATEWAY)
def test_a_message_of_the_gateway_is_sorted(
    status: int, message: str, kind: type[ApiError]
) -> None:
    error = failure(status, json.dumps({"message": message}).encode())
    assert type(error) is kind
    assert (error.host, error.status, error.code, error.reason) == (HOST, status, None, message)


@pytest.mark.parametrize(("call", "status", "code", "reason", "kind"), SERVICE)
def test_a_refusal_of_the_service_is_sorted(
    call: str, status: int, code: int, reason: str, *, kind: type[ApiError]
) -> None:
    error = failure(status, json.dumps({"code": code, "reason": reason}).encode(), call=call)
    assert type(error) is kind
    assert (error.call, error.status, error.code, error.reason) == (call, status, code, reason)


@pytest.mark.parametrize("echo", [{}, {"cname": "room1"}, {"resourceId": "RID", "sid": ""}])
def test_a_refusal_needs_no_reason_and_may_name_the_task(echo: dict[str, str]) -> None:
    error = failure(404, json.dumps({"code": 404} | echo).encode())
    assert type(error) is NoWorkerError
    assert error.reason == ""


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"ok"', b"<html>", b'{"code":404', b"\xff", b"[" * 100_000, b"1e999"],
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, UnexpectedAnswerError),
        (204, UnexpectedAnswerError),
        (206, UnexpectedAnswerError),
        (302, UnexpectedAnswerError),
        (400, UnexpectedAnswerError),
        (401, CredentialsError),
        (403, UnexpectedAnswerError),
        (404, UnexpectedAnswerError),
        (407, UnexpectedAnswerError),
        (429, SlowDownError),
        (500, RetryLaterError),
        (502, RetryLaterError),
        (503, RetryLaterError),
    ],
)
def test_what_is_no_json_object_is_never_evidence_about_a_task(
    status: int, kind: type[ApiError], body: bytes
) -> None:
    error = failure(status, body)
    assert type(error) is kind
    assert error.reason == "not a JSON object"


@pytest.mark.parametrize("code", [None, "404", 404.5, True, [404], 405, 10**400])
def test_a_404_without_the_vendors_code_is_not_no_worker(code: object) -> None:
    error = failure(404, json.dumps({"code": code, "reason": "failed to find worker"}).encode())
    assert type(error) is UnexpectedAnswerError


def test_only_200_is_success() -> None:
    body = sample("query/mix-hls")
    assert decipher("query", host=HOST, status=200, body=body) == json.loads(body)
    assert type(failure(201, body)) is UnexpectedAnswerError


def test_a_reason_is_cut_and_cannot_speak_to_a_terminal() -> None:
    error = failure(400, json.dumps({"code": 2, "reason": "\x1b[2J\n" + "x" * 900}).encode())
    assert error.reason == " [2J " + "x" * 195
    assert "\n" not in str(error)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
names = st.sampled_from(
    [
        *("serverResponse", "status", "fileList", "sliceStartTime", "uploadingStatus"),
        *("extensionServiceState", "payload", "playload", "fileName", "filename"),
        *("code", "reason", "message"),
    ]
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(names | st.text(), inner),
    max_leaves=8,
)
json_objects = st.dictionaries(names | st.text(), json_values, max_size=4)


def outcome(status: int, body: bytes) -> object:
    """What comes of an answer: the object, or the status that the error names."""
    try:
        return decipher("query", host=HOST, status=status, body=body)
    except ApiError as error:
        return error.status


statuses = st.sampled_from([200, 201, 206, 400, 404, 429, 500]) | st.integers(100, 999)


@given(status=statuses, body=st.binary())
def test_arbitrary_bytes_give_an_object_or_an_api_error(status: int, body: bytes) -> None:
    told = outcome(status, body)
    assert told == status or (status == 200 and isinstance(told, dict))


@given(status=statuses, value=json_values | json_objects)
def test_arbitrary_json_gives_the_object_of_a_200_or_an_api_error(status: int, value: Any) -> None:
    # numbers beyond a float's range and halves of surrogate pairs are refused like other non-JSON
    told = outcome(status, json.dumps(value).encode())
    assert told == status or (status == 200 and isinstance(told, dict))


MIX = File("p/SID_room1.m3u8")
MIX_WHOLE = File("p/SID_room1.m3u8", "audio_and_video", "0", True, True, AT)
MP4 = File("p/SID_room1_0.mp4", "audio_and_video", "0", True, True, AT)
AUDIO = File("p/SID_room1__uid_s_1001__uid_e_audio.m3u8", "audio", "1001", False, True, AT)
WEB = File("p/SID_lbl.m3u8", slice_start_ms=AT)

QUERIES: dict[str, tuple[int, tuple[File, ...], int | None]] = {
    "mix-hls": (IN_PROGRESS, (MIX,), AT),
    "mix-hls-no-file-yet": (READY, (), None),
    "mix-hls-mp4": (IN_PROGRESS, (MP4, MIX_WHOLE), AT),
    "individual": (IN_PROGRESS, (AUDIO,), AT),
    "individual-snapshot": (IN_PROGRESS, (), AT),
    "web": (IN_PROGRESS, (WEB,), None),
    "web-fileName": (IN_PROGRESS, (WEB,), None),
    "older-without-names": (STARTING, (), None),
}
STOPS: dict[str, tuple[str, tuple[File, ...]]] = {
    "mix-hls": ("uploaded", (MIX,)),
    "json-backuped": ("backuped", ()),
    "snapshot": ("uploaded", ()),
    "unknow": ("unknown", ()),
    "unknown": ("unknown", ()),
    "web-payload": ("uploaded", (WEB,)),
    "web-playload": ("uploaded", (WEB,)),
}


@pytest.mark.parametrize("name", QUERIES)
def test_the_answer_of_query_is_read_in_every_mode(name: str) -> None:
    body = json_sample(f"query/{name}")
    status, files, start = QUERIES[name]
    reply = replace(read_query(body, host=HOST), services=())  # of pages alone: below
    assert reply == QueryReply(HOST, status, files, start, "", body)


@pytest.mark.parametrize("name", STOPS)
def test_the_answer_of_stop_is_read_in_every_mode_and_spelling(name: str) -> None:
    body = json_sample(f"stop/{name}")
    assert read_stop(body, host=HOST) == StopReply(HOST, *STOPS[name], body)


def test_every_sample_of_an_answer_is_read() -> None:
    assert {path.stem for path in (FOLDER / "query").iterdir()} == QUERIES.keys()
    assert {path.stem for path in (FOLDER / "stop").iterdir()} == STOPS.keys()


@pytest.mark.parametrize("server", [None, [], "x", {"status": "5", "extensionServiceState": {}}])
def test_an_odd_answer_of_query_says_nothing(server: object) -> None:
    reply = read_query({"serverResponse": server}, host=HOST)
    assert (reply.status, reply.files, reply.slice_start_ms) == (None, (), None)


def test_an_empty_payload_gives_way_to_its_other_spelling() -> None:
    service = {"payload": "odd", "playload": {"uploadingStatus": "backuped"}}
    reply = read_stop({"serverResponse": {"extensionServiceState": [None, service]}}, host=HOST)
    assert reply.uploading_status == "backuped"


@given(json_objects)
def test_no_answer_however_odd_raises(body: dict[str, Any]) -> None:
    assert read_query(body, host=HOST).body is body
    assert isinstance(read_stop(body, host=HOST).uploading_status, str)


def test_a_pages_services_are_told() -> None:
    reply = read_query(json_sample("query/web"), host="h")
    assert reply.services == (
        Service("web_recorder_service", "inProgress", False, ()),
        Service(
            "rtmp_publish_service",
            "inProgress",
            None,
            (Output("rtmp://h/app/key", "publishing"),),
        ),
    )
    assert read_query(json_sample("query/mix-hls"), host="h").services == ()


@pytest.mark.parametrize(
    "odd", [None, 5, "x", {}, [None, 5, {"payload": 5}, {"payload": {"outputs": [1]}}]]
)
def test_odd_services_are_passed_over(odd: Any) -> None:
    body = {"serverResponse": {"status": 5, "extensionServiceState": odd}}
    assert all(service.outputs == () for service in read_query(body, host="h").services)


def test_every_error_says_what_to_do() -> None:
    told = {
        kind: kind.advice
        for kind in (
            RetryLaterError,
            SlowDownError,
            NewAcquireError,
            NoWorkerError,
            LeavingError,
            RefusedError,
            CredentialsError,
            NoDataError,
        )
    }
    assert list(told.values()) == [
        "retry",
        "slow down",
        "acquire anew",
        "ask again",
        "ask again",
        "give up",
        "give up",
        "give up",
    ]
