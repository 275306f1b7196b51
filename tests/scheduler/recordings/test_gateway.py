import asyncio
import base64
import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from structlog.testing import capture_logs

from agora_sidecar.agora.requests.table import Row
from scheduler.recordings.gateway import MAX_BODY
from scheduler.recordings.gateway_ties import LIFETIME, START_WITHIN
from tests.agora.request_bodies import (
    FULL,
    LEAST_START,
    MIX_START,
    POSTPONED_START,
    SECRETS,
    WEB_START,
    table,
)
from tests.agora.request_breaks import breaking
from tests.agora.samples import sample
from tests.scheduler.recordings.gateway_house import (
    CUSTOMER,
    CUSTOMER_SECRET,
    NAMES,
    SID,
    V1,
    House,
    basic,
    place,
)

TASKS = ("query", "update", "updateLayout", "stop")
ANY = {"resourceId": "RID", "sid": SID, "serverResponse": {"status": 5}, "data": {}}
TABLE: list[tuple[str, Row]] = table()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House() as house:
        yield house


def wish(name: str) -> Any:
    """A body that is allowed."""
    if name in {"query", "ncs_ip"}:
        return None
    return {**NAMES, "clientRequest": LEAST_START if name == "start" else {}}


async def test_the_same_call_goes_out_with_our_credentials(house: House) -> None:
    told = b'{ "resourceId":"RID",\n"sid":"' + SID.encode() + b'", "data": {} }'
    house.api.say_bytes(told)
    for region, name in product(
        ("", "/cn", "/eu", "/ap", "/na", "/us"), ("acquire", "start", "ncs_ip", *TASKS)
    ):
        method = "GET" if name in {"query", "ncs_ip"} else "POST"
        raw = json.dumps(wish(name), indent=3).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"} if raw else {}
        path = region + place(name).replace("RID", f"RID{region[1:]}")
        response = await house.client.request(
            method, path, data=raw, headers={"Authorization": basic("who", "ever"), **headers}
        )
        asked = house.api.asked[-1]
        assert (asked.method, asked.path) == (method, path)
        assert asked.body == (raw or b"")
        assert asked.headers["Authorization"] == basic(CUSTOMER, CUSTOMER_SECRET)
        assert (response.status, await response.read()) == (200, told)
        assert response.headers["X-Request-Id"] == "r-1"
        assert response.content_type == "application/json"
        await house.ledger.forget(SID)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, {"code": 7, "reason": "already started"}),
        (206, {"code": 65, "reason": "request not completed"}),
        (206, {"code": 435, "reason": "no recorded data"}),
        (400, {"code": 2, "reason": "free text", "cname": "room 1"}),
        (400, {"code": 987654, "reason": "a code never seen"}),
        (400, {"message": "appid is invalid"}),
        (401, {"message": "Unauthorized"}),
        (404, {"code": 404, "reason": "failed to find worker"}),
        (404, {"message": "no Route matched with those values"}),
        (418, {"anything": [1, 2, {"x": None}]}),
        (429, {"message": "API rate limit exceeded"}),
        (500, {"code": 500, "reason": "internal_error"}),
        (504, {"code": 62, "reason": "request timeout"}),
    ],
)
async def test_an_error_of_the_vendors_comes_back_byte_for_byte(
    house: House, status: int, body: Any
) -> None:
    raw = json.dumps(body, indent=2).encode()
    house.api.say_bytes(raw, status=status, content_type="text/plain")
    for name in ("acquire", "start", *TASKS):
        house.clock.advance(2)  # after too many the vendor is not asked for a while
        with capture_logs() as logs:
            response = await house.client.request(
                "GET" if name == "query" else "POST", place(name), json=wish(name)
            )
            assert (response.status, await response.read()) == (status, raw), name
        assert response.content_type == "application/json"
        events = [line["event"] for line in logs if line["event"].startswith("gateway.")]
        assert events == ["gateway.call"]


NO_ANSWER = {
    "html": lambda api: api.say_html(),
    "html 502": lambda api: api.say_html(status=502),
    "empty": lambda api: api.say_bytes(b""),
    "no content": lambda api: api.say_bytes(b"", status=204),
    "truncated JSON": lambda api: api.say_bytes(b'{"resourceId": "R'),
    "truncated": lambda api: api.truncate(b"{"),
    "cut": lambda api: api.cut(),
    "redirect": lambda api: api.redirect("http://192.0.2.1/"),
    "an array": lambda api: api.say([1]),
    "nothing of it": lambda api: api.say({"hello": "captive"}),
    "flood": lambda api: api.flood(),
}


@pytest.mark.parametrize("trouble", NO_ANSWER)
async def test_what_is_no_answer_of_the_vendors_becomes_its_own_time_out(
    house: House, trouble: str
) -> None:
    NO_ANSWER[trouble](house.api)
    for number, name in enumerate(("acquire", "start", *TASKS, "ncs_ip")):
        with capture_logs() as logs:
            status, body = await house.call(name, wish(name))
        if name == "ncs_ip":
            assert status == 504 and body.keys() == {"message"}
        else:
            expected = {"acquire": (500, 504), "start": (500, 62)}.get(name, (504, 62))
            assert (status, body["code"]) == expected
            assert body.keys() == {"code", "reason"}
        assert len([line for line in logs if line["event"] == "gateway.unanswered"]) == 1
        assert len(house.api.asked) == number + 1


async def test_a_start_that_was_not_answered_is_not_sent_again_by_itself(house: House) -> None:
    for trouble in ("cut", "html 502"):
        NO_ANSWER[trouble](house.api)
        await house.call("start", wish("start"))
    assert len(house.api.asked) == 2  # once for each that the business server sent


async def test_nothing_that_breaks_a_rule_is_sent_and_the_answer_names_the_path(
    house: House,
) -> None:
    tried = 0
    for call, row in TABLE:
        for broken, path in breaking(call, row):
            status, body = await house.call(call, broken.body, mode=broken.mode or "mix")
            assert (status, body["code"]) == (400, 2), (broken, body)
            assert any(
                part.startswith((f"{path} ", f"{path}[")) for part in body["reason"].split("; ")
            ), (path, body)
            tried += 1
    assert house.api.asked == []
    assert tried > 500


async def test_what_the_reference_allows_goes_out(house: House) -> None:
    for given in FULL:
        house.api.say({"resourceId": "OTHER", "sid": SID, "serverResponse": {}})
        status, body = await house.call(given.call, given.body, mode=given.mode or "mix")
        assert status == 200, body
        assert house.api.json_asked() == given.body
        await house.ledger.forget(SID)


async def test_unknown_properties_pass_and_another_spelling_is_put_right(house: House) -> None:
    house.api.say({"resourceId": "RID", "sid": SID})
    body = {
        **NAMES,
        "newer": {"x": [1, None]},
        "clientRequest": {
            **LEAST_START,
            "other": 1.5,
            "recordingConfig": {"channelType": 0, "unsubscribeVideoUids": ["5"]},
        },
    }
    assert (await house.call("start", body))[0] == 200
    config = {"channelType": 0, "unSubscribeVideoUids": ["5"]}
    assert house.api.json_asked() == {
        **body,
        "clientRequest": {**body["clientRequest"], "recordingConfig": config},
    }


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff\xfe{}", 400),
        (b'"text"', 400),
        (b"[" * 5000, 400),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
        (b'{"cname": 1e400}', 400),
        (b"x" * (MAX_BODY + 1), 413),
    ],
)
async def test_a_body_that_is_none_is_refused_in_the_vendors_shape(
    house: House, raw: bytes, status: int
) -> None:
    for name in ("acquire", "start", "update", "updateLayout", "stop"):
        with capture_logs() as logs:
            response = await house.client.post(
                place(name), data=raw, headers={"Content-Type": "application/json"}
            )
        body = await response.json()
        assert (response.status, body["code"]) == (status, 2)
        assert [line["event"] for line in logs] == ["gateway.refused"]
    assert house.api.asked == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{V1}/acquire"),
        ("PUT", place("start")),
        ("POST", place("query")),
        ("DELETE", place("stop")),
        ("POST", f"{V1}/nothing"),
        ("GET", "/"),
        ("POST", f"/mars{V1}/acquire"),
        ("GET", "/v3/ncs/ip"),
        ("POST", "/v1/apps/app/Cloud_Recording/acquire"),
    ],
)
async def test_another_path_or_method_is_the_vendors_404(
    house: House, method: str, path: str
) -> None:
    response = await house.client.request(method, path, json={} if method == "POST" else None)
    assert response.status == 404
    assert await response.json() == {"message": "no Route matched with those values"}
    assert house.api.asked == []


@pytest.mark.parametrize("mode", ["composite", "MIX", "mix "])
async def test_a_wrong_mode_in_the_path_is_told(house: House, mode: str) -> None:
    status, body = await house.call("start", wish("start"), mode=mode)
    assert (status, body["code"]) == (400, 2)
    assert "mode must be one of" in body["reason"]


async def test_another_app_id_is_not_served(house: House) -> None:
    response = await house.client.post("/v1/apps/other/cloud_recording/acquire", json=wish("stop"))
    assert response.status == 400
    assert await response.json() == {"message": "appid is invalid"}
    assert house.api.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 400),
    ],
)
async def test_a_page_in_a_browser_cannot_use_it(
    house: House, headers: dict[str, str], status: int
) -> None:
    given = {"Content-Type": "application/json", **headers}
    raw = json.dumps(wish("acquire"))
    response = await house.client.post(place("acquire"), data=raw, headers=given)
    assert response.status == status
    assert house.api.asked == []


async def test_what_other_programs_send_of_their_own_is_no_page(house: House) -> None:
    house.api.say(ANY)
    headers = {"Sec-Fetch-Mode": "cors", "Accept-Language": "*"}  # Node's fetch
    assert (await house.call("acquire", wish("acquire"), headers=headers))[0] == 200


async def test_a_token_is_shown_as_bearer_or_as_the_basic_password() -> None:
    async with House(token="gateway-token") as house:
        house.api.say(ANY)
        for authorization, status in (
            (None, 401),
            ("Bearer wrong", 401),
            (basic("customer", "wrong"), 401),
            ("Bearer gateway-token", 200),
            (basic("anybody", "gateway-token"), 200),
        ):
            headers = {} if authorization is None else {"Authorization": authorization}
            assert (await house.call("acquire", wish("acquire"), headers=headers))[0] == status
        assert len(house.api.asked) == 2


async def test_start_must_come_within_two_seconds(house: House) -> None:
    house.api.say({"resourceId": "RID"})
    await house.call("acquire", wish("acquire"))
    house.clock.advance(START_WITHIN + 0.1)
    status, body = await house.call("start", wish("start"))
    assert (status, body["code"]) == (400, 433)
    assert "2.1 s after acquire" in body["reason"]
    assert len(house.api.asked) == 1


async def test_a_start_that_failed_may_be_repeated_as_the_vendor_advises(house: House) -> None:
    house.api.say({"resourceId": "RID"})
    await house.call("acquire", wish("acquire"))
    for _ in range(3):
        house.api.say({"code": 62, "reason": "request timeout"}, status=500)
        assert (await house.call("start", wish("start")))[0] == 500
        house.clock.advance(6)
    house.api.say({"resourceId": "RID", "sid": SID})
    assert (await house.call("start", wish("start")))[0] == 200
    house.clock.advance(LIFETIME)
    assert (await house.call("start", wish("start")))[0] == 201


async def test_one_start_for_one_resource_id_also_at_the_same_time(house: House) -> None:
    house.api.say({"resourceId": "RID"})
    await house.call("acquire", wish("acquire"))
    answered = asyncio.Event()
    house.api.say({"resourceId": "RID", "sid": SID})
    house.api.wait_for(answered)
    starts = [asyncio.create_task(house.call("start", wish("start"))) for _ in range(5)]
    await house.api.was_asked(2)
    await asyncio.sleep(0.05)
    answered.set()
    answers = await asyncio.gather(*starts)
    assert sorted(status for status, _ in answers) == [200, 201, 201, 201, 201]
    assert {body["code"] for status, body in answers if status == 201} == {7}
    assert len(house.api.asked) == 2


@pytest.mark.parametrize(
    ("acquire", "start", "mode", "told"),
    [
        ({"startParameter": MIX_START}, LEAST_START, "mix", "clientRequest must be equal"),
        ({"scene": 1}, LEAST_START, "mix", "mode must be web"),
        ({"scene": 0}, WEB_START, "web", "mode must be individual or mix"),
        ({"scene": 2}, LEAST_START, "mix", "mode must be individual"),
        ({"scene": 0}, POSTPONED_START, "individual", "only after acquire with scene 2"),
    ],
)
async def test_start_must_be_what_acquire_was_for(
    house: House, acquire: Any, start: Any, mode: str, told: str
) -> None:
    house.api.say({"resourceId": "RID"})
    assert (await house.call("acquire", {**NAMES, "clientRequest": acquire}))[0] == 200
    status, body = await house.call("start", {**NAMES, "clientRequest": start}, mode=mode)
    assert (status, body["code"]) == (400, 2)
    assert told in body["reason"]
    assert len(house.api.asked) == 1


async def test_a_start_parameter_in_another_order_is_the_same(house: House) -> None:
    turned = dict(reversed(MIX_START.items()))
    await house.started(turned, acquire={"startParameter": MIX_START})


@pytest.mark.parametrize("names", [{"cname": "room 2"}, {"uid": "5"}])
async def test_channel_and_uid_stay_from_acquire_to_stop(
    house: House, names: dict[str, str]
) -> None:
    house.api.say({"resourceId": "RID"})
    await house.call("acquire", wish("acquire"))
    status, body = await house.call("start", {**wish("start"), **names})
    assert (status, body["code"]) == (400, 432)
    house.api.say({"resourceId": "RID", "sid": SID})
    assert (await house.call("start", wish("start")))[0] == 200
    for name in ("update", "updateLayout", "stop"):
        status, body = await house.call(name, {**wish(name), **names})
        assert (status, body["code"]) == (400, 432)
        assert f"{next(iter(names))} must be that of start" in body["reason"]
    assert len(house.api.asked) == 2


async def test_mode_and_resource_id_stay_too(house: House) -> None:
    await house.started(LEAST_START)
    for name in ("query", "stop"):
        status, body = await house.call(name, wish(name), mode="individual")
        assert (status, body) == (400, {"code": 2, "reason": "mode must be mix (String)"})
    path = place("query").replace("RID", "OTHER")
    response = await house.client.get(path)
    assert (response.status, (await response.json())["code"]) == (400, 1003)


async def test_what_was_not_seen_here_is_for_the_vendor_to_judge(house: House) -> None:
    house.api.say({"code": 404, "reason": "failed to find worker"}, status=404)
    for name in TASKS:
        assert (await house.call(name, wish(name)))[0] == 404
    house.api.say({"code": 433, "reason": "expired"}, status=400)
    assert (await house.call("start", wish("start")))[1]["code"] == 433


async def test_a_start_makes_the_recording_known(house: House) -> None:
    request = {
        **LEAST_START,
        "recordingConfig": {"channelType": 1, "maxIdleTime": 300},
        "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
        "storageConfig": {**LEAST_START["storageConfig"], "fileNamePrefix": ["dir"]},
    }
    await house.started(request, acquire={"resourceExpiredHour": 24})
    session = await house.ledger.load(SID)
    assert session is not None and session.registered
    assert (session.resource_id, session.mode, session.cname, session.uid, session.app_id) == (
        "RID",
        "mix",
        "room 1",
        "527841",
        "app",
    )
    assert (session.resource_expired_hour, session.max_idle_time) == (24, 300)
    assert (session.file_name_prefix, session.av_file_type) == (("dir",), ("hls", "mp4"))
    assert session.stop_wanted == ""


@pytest.mark.parametrize("status", [200, 504])
async def test_a_stop_makes_a_stop_owed_whatever_comes_of_it(house: House, status: int) -> None:
    await house.started(LEAST_START)
    house.api.say(ANY if status == 200 else {"code": 62}, status=status)
    assert (await house.call("stop", wish("stop")))[0] == status
    session = await house.ledger.load(SID)
    assert session is not None and session.stop_wanted == "requested"


async def test_a_stop_that_is_refused_here_owes_nothing(house: House) -> None:
    await house.started(LEAST_START)
    assert (await house.call("stop", {**wish("stop"), "uid": 5}))[0] == 400
    session = await house.ledger.load(SID)
    assert session is not None and session.stop_wanted == ""


async def test_a_recording_that_was_started_elsewhere_is_known_from_what_is_asked_of_it(
    house: House,
) -> None:
    house.api.say({**ANY, **NAMES})
    assert (await house.call("query"))[0] == 200
    session = await house.ledger.load(SID)
    assert session is not None and session.registered and session.cname == "room 1"


async def test_the_answer_does_not_wait_for_a_store_that_is_away(house: House) -> None:
    house.ledger.away = True
    await house.started(LEAST_START)
    house.api.say(ANY)
    assert (await house.call("stop", wish("stop")))[0] == 200
    house.ledger.away = False
    async with asyncio.timeout(5):
        while (session := await house.ledger.load(SID)) is None or not session.stop_wanted:
            house.clock.advance(1)
            await asyncio.sleep(0.01)
    assert session.registered


@pytest.mark.parametrize(("validation", "warned"), [("warn", 1), ("off", 0)])
async def test_validation_may_only_warn_or_be_off(validation: str, warned: int) -> None:
    async with House(validate=validation) as house:
        house.api.say({"code": 2, "reason": "no"}, status=400)
        raw = b'{"cname": "x", "uid": 1, "clientRequest": {"storageConfig": "access-secret"}}'
        for body in (raw, b"no JSON"):
            with capture_logs() as logs:
                response = await house.client.post(
                    place("start"), data=body, headers={"Content-Type": "application/json"}
                )
            assert response.status == 400
            assert house.api.asked[-1].body == body
            assert [line["event"] for line in logs].count("gateway.allowed") == warned
            assert "access-secret" not in str(logs)


async def test_updates_wait_for_the_previous_answer(house: House) -> None:
    await house.started(LEAST_START)
    answered = asyncio.Event()
    house.api.say(ANY)
    house.api.wait_for(answered)
    first = asyncio.create_task(house.call("updateLayout", wish("updateLayout")))
    await house.api.was_asked(3)
    second = asyncio.create_task(house.call("update", wish("update")))
    await asyncio.sleep(0.1)
    assert len(house.api.asked) == 3
    answered.set()
    assert [status for status, _ in await asyncio.gather(first, second)] == [200, 200]


async def test_the_recordings_api_is_beside_it(house: House) -> None:
    await house.started(LEAST_START)
    response = await house.client.get(f"/recordings/{SID}")
    assert (await response.json())["sid"] == SID
    response = await house.client.get("/recordings/unknown")
    assert (response.status, await response.json()) == (
        404,
        {"error": "no such recording is known"},
    )


async def test_no_secret_is_logged_or_answered(house: House, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    told = ""
    with capture_logs() as logs:
        await house.started(MIX_START, acquire={"startParameter": MIX_START})
        house.api.say({"code": 2, "reason": "no"}, status=400)
        for call, row in TABLE[::3]:
            for broken, _ in breaking(call, row):
                told += str(await house.call(call, broken.body, mode=broken.mode or "mix"))
        told += str(logs) + caplog.text
    encoded = base64.b64encode(b"customer:customer-secret").decode()
    assert not [secret for secret in (*SECRETS, "customer-secret", encoded) if secret in told]


async def test_calls_are_counted_by_what_came_of_them(house: House) -> None:
    house.api.say(ANY)
    await house.call("acquire", wish("acquire"))
    await house.call("acquire", {})
    house.api.say({"code": 500}, status=500)
    await house.call("acquire", wish("acquire"))
    house.api.cut()
    await house.call("acquire", wish("acquire"))
    counted = {
        result: house.metrics.get_sample_value(
            "agora_sidecar_gateway_calls_total", {"call": "acquire", "result": result}
        )
        for result in ("ok", "refused", "error", "unanswered")
    }
    assert counted == dict.fromkeys(counted, 1.0)


async def test_the_address_list_comes_byte_for_byte(house: House) -> None:
    house.api.say_bytes(sample("ncs_ip/success"))
    for path in ("/v1/ncs/ip", "/v2/ncs/ip"):
        response = await house.client.get(path)
        assert await response.read() == sample("ncs_ip/success")
        assert house.api.asked[-1].path == path
