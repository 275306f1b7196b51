import asyncio
import base64
import dataclasses
import json
import math
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from agora_sidecar.agora import requests
from agora_sidecar.agora.client import Client
from agora_sidecar.agora.errors import (
    ApiError,
    CredentialsError,
    InvalidRequestError,
    LeavingError,
    NoDataError,
    NoWorkerError,
    RefusedError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.exchange import MAX_ANSWER, SLOW_DOWN
from agora_sidecar.agora.recordings import IN_PROGRESS, Recording
from agora_sidecar.process.clock import SystemClock
from tests.agora.request_bodies import FULL, Given, table
from tests.agora.request_breaks import breaking
from tests.agora.samples import json_sample, sample
from tests.fakes.agora_api import AgoraApi
from tests.fakes.clock import FakeClock

CUSTOMER = "customer-4711"
SECRET = "s3cr3t-äöü-never-to-be-seen"
SID = "0123456789abcdef0123456789abcdef"
RECORDING = Recording("app", "RID", SID, "mix", "room1", "900001")
TASK = f"/v1/apps/app/cloud_recording/resourceid/RID/sid/{SID}/mode/mix"

TLS = ssl.create_default_context()

Serve = Callable[..., Awaitable[TestServer]]
Call = Callable[[Client], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "acquire": lambda client: client.acquire("app", cname="room1", uid="1", client_request={}),
    "start": lambda client: client.start(
        "app", resource_id="RID", mode="mix", cname="room1", uid="1", client_request={}
    ),
    "query": lambda client: client.query(RECORDING),
    "update": lambda client: client.update(RECORDING, client_request={}),
    "updateLayout": lambda client: client.update_layout(RECORDING, client_request={}),
    "stop": lambda client: client.stop(RECORDING),
    "synchronous stop": lambda client: client.stop(RECORDING, async_stop=False),
    "ncs_ip": lambda client: client.ncs_ip(),
}


def client_of(url: str, **options: Any) -> Client:
    given: dict[str, Any] = {
        "clock": SystemClock(),
        "requests_per_second": math.inf,
        "validate": False,
        "transport": httpx.AsyncHTTPTransport(verify=TLS),
    } | options
    return Client(base_urls=[url], customer_id=CUSTOMER, customer_secret=SECRET, **given)


@pytest.fixture
def api() -> AgoraApi:
    return AgoraApi()


@pytest.fixture
async def url(api: AgoraApi, aiohttp_server: Serve) -> str:
    return str((await aiohttp_server(api.application)).make_url("/"))


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with client_of(url) as client:
        yield client


async def test_acquire_tells_the_resource_id(api: AgoraApi, client: Client) -> None:
    api.say(json_sample("acquire/success"))
    wish = {"scene": 0, "resourceExpiredHour": 72}
    assert await client.acquire("app", cname="sälle 1", uid="7", client_request=wish) == "RID"
    assert (api.asked[0].method, api.asked[0].path) == (
        "POST",
        "/v1/apps/app/cloud_recording/acquire",
    )
    assert api.json_asked() == {"cname": "sälle 1", "uid": "7", "clientRequest": wish}


async def test_start_tells_the_sid(api: AgoraApi, client: Client) -> None:
    api.say(json_sample("start/success"))
    told = await client.start(
        "app", resource_id="RID", mode="web", cname="l", uid="7", client_request={"token": "t"}
    )
    assert told == SID
    assert (api.asked[0].method, api.asked[0].path) == (
        "POST",
        "/v1/apps/app/cloud_recording/resourceid/RID/mode/web/start",
    )
    assert api.json_asked() == {"cname": "l", "uid": "7", "clientRequest": {"token": "t"}}


async def test_query_is_a_get_without_a_body(api: AgoraApi, client: Client, url: str) -> None:
    api.say(json_sample("query/mix-hls-mp4"))
    reply = await client.query(RECORDING)
    assert (reply.status, len(reply.files), reply.host) == (
        IN_PROGRESS,
        2,
        url.removeprefix("http://").rstrip("/"),
    )
    assert (api.asked[0].method, api.asked[0].path) == ("GET", f"{TASK}/query")
    assert api.asked[0].body == b""


@pytest.mark.parametrize("async_stop", [True, False])
async def test_stop_says_whether_to_wait_for_the_upload(
    api: AgoraApi, client: Client, *, async_stop: bool
) -> None:
    api.say(json_sample("stop/web-playload"))
    reply = await client.stop(RECORDING, async_stop=async_stop)
    assert reply.uploading_status == "uploaded"
    assert (api.asked[0].method, api.asked[0].path) == ("POST", f"{TASK}/stop")
    assert api.json_asked() == {
        "cname": "room1",
        "uid": "900001",
        "clientRequest": {"async_stop": async_stop},
    }


@pytest.mark.parametrize("name", ["update", "updateLayout"])
async def test_an_update_names_the_task_and_its_wish(
    api: AgoraApi, client: Client, name: str
) -> None:
    api.say({"resourceId": "RID", "sid": SID})
    wish = {"mixedVideoLayout": 1, "backgroundColor": "#FF0000"}
    method = client.update if name == "update" else client.update_layout
    reply = await method(RECORDING, client_request=wish)
    assert reply.body["sid"] == SID
    assert (api.asked[0].method, api.asked[0].path) == ("POST", f"{TASK}/{name}")
    assert api.json_asked() == {"cname": "room1", "uid": "900001", "clientRequest": wish}


async def test_updates_of_one_recording_wait_for_the_previous_answer(
    api: AgoraApi, client: Client
) -> None:
    answered = asyncio.Event()
    api.say({"resourceId": "RID", "sid": SID})
    api.wait_for(answered)
    other = dataclasses.replace(RECORDING, sid="f" * 32)
    first = asyncio.create_task(client.update(RECORDING, client_request={"a": 1}))
    await api.was_asked(1)
    second = asyncio.create_task(client.update_layout(RECORDING, client_request={"b": 2}))
    third = asyncio.create_task(client.update(other, client_request={"c": 3}))
    await api.was_asked(2)
    assert [api.json_asked(n)["clientRequest"] for n in (0, 1)] == [{"a": 1}, {"c": 3}]
    answered.set()
    await asyncio.gather(first, second, third)
    assert api.json_asked(2)["clientRequest"] == {"b": 2}


async def test_an_update_does_not_wait_for_the_previous_one_beyond_its_deadline(
    api: AgoraApi, url: str
) -> None:
    api.hang()
    async with client_of(url, timeout=0.3) as client:
        first = asyncio.create_task(client.update(RECORDING, client_request={}))
        await api.was_asked(1)
        second = client.update(RECORDING, client_request={})
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [RetryLaterError, RetryLaterError]
        api.say({"resourceId": "RID", "sid": SID})
        await client.update(RECORDING, client_request={})


@pytest.mark.parametrize("path", ["/v1/ncs/ip", "/v2/ncs/ip"])
async def test_the_address_list_comes_byte_for_byte(
    api: AgoraApi, client: Client, path: str
) -> None:
    api.say_bytes(sample("ncs_ip/success"))
    assert await client.ncs_ip(path) == sample("ncs_ip/success")
    assert (api.asked[0].method, api.asked[0].path) == ("GET", path)


async def test_every_call_carries_the_credentials_and_its_media_types(
    api: AgoraApi, client: Client
) -> None:
    api.say({"resourceId": "RID", "sid": SID, "serverResponse": {}, "data": {}})
    for call in CALLS.values():
        await call(client)
    pair = base64.b64encode(f"{CUSTOMER}:{SECRET}".encode()).decode()
    assert {asked.headers["Authorization"] for asked in api.asked} == {f"Basic {pair}"}
    assert {asked.headers["Accept"] for asked in api.asked} == {"application/json"}
    sent = {asked.method: asked.headers.get("Content-Type") for asked in api.asked}
    assert sent == {"GET": None, "POST": "application/json;charset=utf-8"}


async def test_what_names_a_task_cannot_leave_its_place_in_the_path(
    api: AgoraApi, client: Client
) -> None:
    api.say(json_sample("query/mix-hls"))
    await client.query(Recording("a/b", "r?d=1", "s#%2f..", "mix ", "room", "1"))
    assert api.asked[0].path == (
        "/v1/apps/a%2Fb/cloud_recording/resourceid/r%3Fd%3D1/sid/s%23%252f../mode/mix%20/query"
    )


@pytest.mark.parametrize("part", ["", ".", ".."])
async def test_a_part_that_makes_another_path_is_refused_unsent(
    api: AgoraApi, client: Client, part: str
) -> None:
    with pytest.raises(RefusedError, match="path"):
        await client.query(Recording("app", "RID", part, "mix", "room", "1"))
    with pytest.raises(RefusedError, match="path"):
        await client.acquire(part, cname="room", uid="1", client_request={})
    assert api.asked == []


async def test_an_endless_resource_id_is_refused_unsent(api: AgoraApi, client: Client) -> None:
    with pytest.raises(RefusedError, match="URL"):
        await client.query(Recording("app", "R" * 100_000, SID, "mix", "room", "1"))
    assert api.asked == []


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"message": "Unauthorized"}, CredentialsError),
        (404, {"code": 404, "reason": "failed to find worker"}, NoWorkerError),
        (404, {"message": "no Route matched with those values"}, UnexpectedAnswerError),
        (206, {"code": 435, "reason": "no recorded data"}, NoDataError),
        (400, {"code": 49, "reason": "invalid operation"}, LeavingError),
        (400, {"code": 2, "reason": "free text"}, RefusedError),
        (504, {"code": 62, "reason": "request timeout"}, RetryLaterError),
        (429, {"message": "API rate limit exceeded"}, SlowDownError),
        (200, {"status": "ok"}, UnexpectedAnswerError),
    ],
)
@pytest.mark.parametrize("call", ["query", "stop"])
async def test_a_failure_names_its_host_status_and_call(
    api: AgoraApi, url: str, call: str, *, status: int, body: Any, kind: type[ApiError]
) -> None:
    api.say(body, status=status)
    async with client_of(url) as client:
        with pytest.raises(ApiError) as caught:
            await CALLS[call](client)
    assert type(caught.value) is kind
    assert (caught.value.call, caught.value.status) == (call, status)
    assert f"http://{caught.value.host}/" == url


async def test_a_host_has_answered_once_it_gave_a_200_of_the_vendors_shape(
    api: AgoraApi, client: Client, url: str
) -> None:
    host = url.removeprefix("http://").rstrip("/")
    for status, body in ((404, {"code": 404}), (200, {"hello": "captive"}), (200, [])):
        api.say(body, status=status)
        with pytest.raises(ApiError):
            await client.query(RECORDING)
        assert not client.has_answered(host)
    api.say(json_sample("query/web"))
    await client.query(RECORDING)
    assert client.has_answered(host)
    assert not client.has_answered("")


@pytest.mark.parametrize("name", CALLS)
async def test_a_200_that_names_nothing_of_the_vendors_is_unexpected(
    api: AgoraApi, client: Client, name: str
) -> None:
    api.say({"resourceID": "RID", "ok": True})
    with pytest.raises(UnexpectedAnswerError):
        await CALLS[name](client)
    assert len(api.asked) == 1


@pytest.mark.parametrize("value", ["", None, 5, []])
@pytest.mark.parametrize(("call", "name"), [("acquire", "resourceId"), ("start", "sid")])
async def test_what_begins_must_get_a_name(
    api: AgoraApi, client: Client, *, call: str, name: str, value: object
) -> None:
    api.say({name: value})
    with pytest.raises(UnexpectedAnswerError, match=f"no {name}"):
        await CALLS[call](client)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("size", [MAX_ANSWER + 1, 3 * MAX_ANSWER])
async def test_an_answer_that_is_too_long_is_unexpected(
    api: AgoraApi, client: Client, *, name: str, size: int
) -> None:
    body = json.dumps({"resourceId": "RID", "sid": SID, "serverResponse": {}, "data": {}})
    api.say_bytes(body.encode().ljust(size))
    with pytest.raises(UnexpectedAnswerError):
        await CALLS[name](client)


async def test_an_answer_of_the_most_that_is_read_is_read(api: AgoraApi, client: Client) -> None:
    api.say_bytes(sample("query/web").ljust(MAX_ANSWER))
    assert (await client.query(RECORDING)).status == IN_PROGRESS


async def test_an_endless_answer_is_not_read_to_its_end(api: AgoraApi, client: Client) -> None:
    api.flood()
    with pytest.raises(UnexpectedAnswerError):
        await client.query(RECORDING)


async def test_redirects_are_not_followed(
    api: AgoraApi, client: Client, aiohttp_server: Serve
) -> None:
    elsewhere = AgoraApi()
    server = await aiohttp_server(elsewhere.application)
    api.redirect(str(server.make_url("/v1/ncs/ip")))
    with pytest.raises(UnexpectedAnswerError, match="302"):
        await client.ncs_ip()
    assert elsewhere.asked == []


@pytest.mark.parametrize("body", [sample("query/mix-hls"), b"{"])
async def test_a_truncated_answer_is_none(api: AgoraApi, client: Client, body: bytes) -> None:
    api.truncate(body)
    with pytest.raises(RetryLaterError) as caught:
        await client.query(RECORDING)
    assert caught.value.status is None


async def test_a_cut_connection_is_no_answer(api: AgoraApi, client: Client) -> None:
    api.cut()
    with pytest.raises(RetryLaterError) as caught:
        await client.query(RECORDING)
    assert caught.value.status is None
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("lever", ["hang", "trickle"])
async def test_no_call_outlives_its_deadline(
    api: AgoraApi, url: str, *, name: str, lever: str
) -> None:
    getattr(api, lever)()
    began = time.monotonic()
    async with client_of(url, timeout=0.3, stop_timeout=0.3) as client:
        with pytest.raises(RetryLaterError):
            await CALLS[name](client)
    assert 0.25 < time.monotonic() - began < 2.0
    assert len(api.asked) == 1


async def test_a_synchronous_stop_may_take_longer_than_other_calls(api: AgoraApi, url: str) -> None:
    uploaded = asyncio.Event()
    api.say(json_sample("stop/mix-hls"))
    api.wait_for(uploaded)
    async with client_of(url, timeout=0.1, stop_timeout=30.0) as client:
        asyncio.get_running_loop().call_later(0.4, uploaded.set)
        reply = await client.stop(RECORDING, async_stop=False)
    assert reply.uploading_status == "uploaded"


async def test_the_deadline_holds_for_the_wait_before_the_call_too(
    api: AgoraApi, url: str, clock: FakeClock
) -> None:
    api.say(json_sample("query/mix-hls"))
    async with client_of(url, timeout=0.5, clock=clock, requests_per_second=1.0) as client:
        await client.query(RECORDING)
        with pytest.raises(RetryLaterError, match="no turn in time"):
            await client.query(RECORDING)
    assert len(api.asked) == 1


async def test_calls_go_on_side_by_side(api: AgoraApi, client: Client) -> None:
    together = asyncio.Event()
    api.say(json_sample("query/mix-hls"))
    api.wait_for(together)
    calls = [asyncio.create_task(client.query(RECORDING)) for _ in range(20)]
    await api.was_asked(20)
    together.set()
    replies = await asyncio.gather(*calls)
    assert api.at_once == 20
    assert {reply.status for reply in replies} == {IN_PROGRESS}


async def test_a_cancelled_call_leaves_the_client_usable(api: AgoraApi, client: Client) -> None:
    api.hang()
    call = asyncio.create_task(client.query(RECORDING))
    await api.was_asked(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    api.say(json_sample("query/mix-hls"))
    assert (await client.query(RECORDING)).status == IN_PROGRESS


async def test_after_429_no_call_begins_for_a_while(
    api: AgoraApi, url: str, clock: FakeClock
) -> None:
    async with client_of(url, clock=clock, timeout=0.5) as client:
        api.say({"message": "API rate limit exceeded"}, status=429)
        with pytest.raises(SlowDownError):
            await client.query(RECORDING)
        api.say(json_sample("query/mix-hls"))
        with pytest.raises(RetryLaterError, match="no turn in time"):
            await client.query(RECORDING)
        clock.advance(SLOW_DOWN)
        assert (await client.query(RECORDING)).status == IN_PROGRESS
    assert len(api.asked) == 2


async def test_each_call_is_logged_with_the_vendors_request_id(
    api: AgoraApi, client: Client
) -> None:
    api.say(json_sample("query/mix-hls"), request_id="abc-1")
    with capture_logs() as logs:
        reply = await client.query(RECORDING)
    assert logs == [
        {
            "event": "agora.call",
            "log_level": "debug",
            "call": "query",
            "host": reply.host,
            "status": 200,
            "request_id": "abc-1",
        }
    ]


async def test_the_secret_is_in_no_representation_log_or_error(
    api: AgoraApi, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    pair = base64.b64encode(f"{CUSTOMER}:{SECRET}".encode()).decode()
    told = ""
    # an operator may have put credentials into the base URL as well
    async with client_of(url.replace("://", f"://{CUSTOMER}:{SECRET}@"), timeout=0.2) as client:
        with capture_logs() as logs:
            for lever in (api.say_html, api.cut, api.hang):
                lever()
                with pytest.raises(ApiError) as caught:
                    await client.query(RECORDING)
                told += f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
        told += f"{client!r} {vars(client)} {logs} {caplog.text}"
    assert SECRET not in told
    assert pair not in told
    assert "never-to-be-seen" not in told


async def ask(client: Client, given: Given) -> None:
    """The call of this body, by the method that makes it."""
    body = given.body
    names = {"cname": body["cname"], "uid": body["uid"], "client_request": body["clientRequest"]}
    recording = Recording("app", "RID", SID, given.mode, body["cname"], body["uid"])
    request = {"client_request": body["clientRequest"]}
    if given.call == "acquire":
        await client.acquire("app", **names)
    elif given.call == "start":
        await client.start("app", resource_id="RID", mode=given.mode, **names)
    elif given.call == "stop":
        await client.stop(recording, async_stop=body["clientRequest"].get("async_stop", False))
    else:
        await getattr(client, UPDATES[given.call])(recording, **request)


UPDATES = {"update": "update", "updateLayout": "update_layout"}


async def test_nothing_that_breaks_a_rule_is_sent(api: AgoraApi, url: str) -> None:
    tried = 0
    async with client_of(url, validate=True) as client:
        for call, row in table():
            for broken, path in breaking(call, row):
                if {
                    "cname",
                    "uid",
                    "clientRequest",
                } - broken.body.keys() or path == "clientRequest":
                    continue  # a method cannot be called so
                if call == "stop" and "async_stop" in path:
                    continue  # typed
                with pytest.raises(InvalidRequestError) as caught:
                    await ask(client, broken)
                assert path in {violation.path for violation in caught.value.violations}
                tried += 1
    assert api.asked == []
    assert tried > 500


@pytest.mark.parametrize("given", FULL, ids=lambda g: f"{g.call}-{g.mode}")
async def test_what_the_reference_allows_is_sent_as_it_is(
    api: AgoraApi, url: str, given: Given
) -> None:
    api.say({"resourceId": "RID", "sid": SID, "serverResponse": {}})
    async with client_of(url, validate=True) as client:
        await ask(client, given)
    expected = {"async_stop": False} if given == FULL[-1] else given.body["clientRequest"]
    assert api.json_asked() == {**given.body, "clientRequest": expected}


async def test_a_typed_request_is_sent_as_its_json(api: AgoraApi, url: str) -> None:
    api.say({"resourceId": "RID", "sid": SID})
    layout = requests.Layout(mixed_video_layout=1, background_color="#FF0000")
    async with client_of(url, validate=True) as client:
        await client.update_layout(RECORDING, client_request=layout)
    sent = {"mixedVideoLayout": 1, "backgroundColor": "#FF0000"}
    assert api.json_asked()["clientRequest"] == sent
