import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agora.request_bodies import LEAST_START, Given
from tests.agora.valid_bodies import valid_bodies
from tests.scheduler.recordings.emulated_house import APP_ID, EmulatedHouse, emulated_house

HERE = Path(__file__).parent
MODES = ("mix", "individual", "web")
WEB = {
    "storageConfig": LEAST_START["storageConfig"],
    "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
    "extensionServiceConfig": {
        "extensionServices": [
            {
                "serviceName": "web_recorder_service",
                "serviceParam": {
                    "url": "https://example.com/",
                    "audioProfile": 1,
                    "videoWidth": 1280,
                    "videoHeight": 720,
                    "maxRecordingHour": 1,
                },
            }
        ]
    },
}
INDIVIDUAL = {**LEAST_START, "recordingConfig": {"channelType": 1, "subscribeUidGroup": 0}}
STARTS = {"mix": LEAST_START, "individual": INDIVIDUAL, "web": WEB}
SUBSCRIBE = {"streamSubscribe": {"audioUidList": {"subscribeAudioUids": ["1"]}}}
UPDATES = {
    "mix": SUBSCRIBE,
    "individual": SUBSCRIBE,
    "web": {"webRecordingConfig": {"onhold": True}},
}


@pytest.fixture
async def house() -> AsyncIterator[EmulatedHouse]:
    async with emulated_house() as house:
        yield house


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode == 0, (out.decode(), err.decode())
    return out.decode()


async def known(house: EmulatedHouse, sid: str, mode: str) -> None:
    session = await house.ledger.load(sid)
    assert session is not None
    assert (session.mode, session.cname, session.uid) == (mode, "room-1", "900001")
    assert session.registered and session.stop_wanted == "requested"


def endpoints(house: EmulatedHouse) -> list[tuple[str, int]]:
    """What the vendor was asked, a question that was repeated once."""
    asked = [(c.endpoint.partition(".")[0], c.status) for c in house.emulator.asked.calls]
    return [call for call, before in zip(asked, [None, *asked], strict=False) if call != before]


@pytest.mark.parametrize("mode", MODES)
async def test_the_vendors_own_python_client_walks_through_the_gateway(
    house: EmulatedHouse, mode: str
) -> None:
    told = json.loads(
        await run(sys.executable, str(HERE / "vendor_client_walk.py"), house.url, mode)
    )
    assert set(told.values()) == {told["sid"]}
    layout = ["updateLayout"] if mode == "mix" else []
    names = ["acquire", "start", "query", "update", *layout, "stop"]
    assert endpoints(house) == [(name, 200) for name in names]
    await known(house, told["sid"], mode)


@pytest.mark.parametrize("mode", MODES)
async def test_curl_walks_through_the_gateway(house: EmulatedHouse, mode: str) -> None:
    wishes = (json.dumps(STARTS[mode]), json.dumps(UPDATES[mode]))
    out = await run("sh", str(HERE / "curl_walk.sh"), house.url, mode, *wishes)
    answers = [json.loads(line) for line in out.splitlines() if line]
    layout = ["updateLayout"] if mode == "mix" else []
    names = ["acquire", "start", "query", "update", *layout, "stop", "ncs_ip"]
    assert endpoints(house) == [(name, 200) for name in names]
    # what curl printed is what the vendor answered
    sent = [json.loads(call.answer) for call in house.emulator.asked.calls]
    assert answers == sent[-len(answers) :]
    await known(house, answers[0]["sid"], mode)


async def test_odd_uses_get_the_vendors_own_answers_and_start_nothing_twice(
    house: EmulatedHouse,
) -> None:
    names = {"cname": "room-1", "uid": "900001"}
    app = f"{house.url}/v1/apps/{APP_ID}/cloud_recording"

    async with aiohttp.ClientSession() as session:

        async def post(path: str, wish: Any) -> tuple[int, dict[str, Any]]:
            body = {**names, "clientRequest": wish}
            async with session.post(f"{app}/{path}", json=body) as response:
                return response.status, await response.json()

        async def answers(path: str, wish: Any) -> tuple[int, int | None]:
            status, told = await post(path, wish)
            return status, told.get("code")

        _, told = await post("acquire", {})
        rid = told["resourceId"]
        assert await answers("resourceid/unknown/mode/mix/start", LEAST_START) == (400, 1001)
        status, told = await post(f"resourceid/{rid}/mode/mix/start", LEAST_START)
        assert status == 200
        task = f"resourceid/{rid}/sid/{told['sid']}/mode/mix"
        assert await answers(f"resourceid/{rid}/mode/mix/start", LEAST_START) == (201, 7)
        assert await answers(f"resourceid/{rid}/sid/{'f' * 32}/mode/mix/update", {}) == (404, 404)
        _, other = await post("acquire", {})
        again = f"resourceid/{other['resourceId']}/mode/mix/start"
        assert await answers(again, LEAST_START) == (400, 53)
        assert (await post(f"{task}/stop", {"async_stop": True}))[0] in {200, 206}
        assert await answers(f"{task}/stop", {"async_stop": True}) in {(400, 49), (404, 404)}
    assert len(house.emulator.journal.recordings) == 1


class Arrivals:
    """When calls came to the vendor; the most in any second."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def most_in_a_second(self) -> int:
        window: deque[float] = deque()
        most = 0
        for at in self.times:
            window.append(at)
            while window[0] <= at - 1.0:
                window.popleft()
            most = max(most, len(window))
        return most


@pytest.mark.parametrize(
    ("clients", "each"),
    [(8, 2), pytest.param(50, 4, marks=[pytest.mark.slow, pytest.mark.timeout(120)])],
)
async def test_the_vendor_never_gets_more_than_ten_calls_in_a_second_and_nobody_starves(
    clients: int, each: int
) -> None:
    """Each client waits for its answer before it asks again; the vendor's limit is ten a second."""
    arrivals, answered = Arrivals(), [0] * clients
    async with emulated_house(
        requests_per_second=10.0, requests_per_second_of_vendor=10.0
    ) as house:
        watch(house, arrivals)

        async def client(number: int) -> None:
            async with aiohttp.ClientSession() as session:
                for _ in range(each):
                    async with session.get(f"{house.url}/v1/ncs/ip") as response:
                        assert response.status == 200
                        answered[number] += 1

        began = time.monotonic()
        await asyncio.gather(*(client(number) for number in range(clients)))
        took = time.monotonic() - began
    assert answered == [each] * clients
    assert len(arrivals.times) == clients * each
    assert arrivals.most_in_a_second() <= 10
    assert took < 1.5 * clients * each / 9.5 + 2


def watch(house: EmulatedHouse, arrivals: Arrivals) -> None:
    """Note every call that the emulator answers."""
    add = house.emulator.asked.add

    def noted(**call: Any) -> None:
        arrivals.times.append(time.monotonic())
        add(**call)

    house.emulator.asked.add = noted  # type: ignore[method-assign]


@st.composite
def courses(draw: st.DrawFn) -> list[Given]:
    """Bodies of one recording's calls, each allowed by the rules."""
    start = draw(valid_bodies("start"))
    names = {name: start.body[name] for name in ("cname", "uid")}
    calls = ["acquire", "start", "update", *(["updateLayout"] * (start.mode == "mix")), "stop"]
    course = [draw(valid_bodies(call, start.mode)) for call in calls]
    course[1] = start
    wish = course[0].body["clientRequest"]
    wish.pop("startParameter", None)
    if start.mode == "individual":
        wish["scene"] = 0  # a start that postpones is drawn with its acquire alone
    _fit(course[2].body["clientRequest"], start.body["clientRequest"])
    return [Given(one.call, start.mode, {**one.body, **names}) for one in course]


def _fit(update: dict[str, Any], start: dict[str, Any]) -> None:
    """Leave out of an update what this start has not: a stream of a kind, a place to push to."""
    streams = start.get("recordingConfig", {}).get("streamTypes", 2)
    for kind, without in (("audioUidList", 1), ("videoUidList", 0)):
        if streams == without:
            update.get("streamSubscribe", {}).pop(kind, None)
    services = start.get("extensionServiceConfig", {}).get("extensionServices", [])
    if len(services) < 2:
        update.pop("rtmpPublishConfig", None)


@settings(max_examples=5, deadline=None)
@given(courses())
def test_whatever_the_rules_allow_is_accepted_by_the_emulator(course: list[Given]) -> None:
    asyncio.run(accepted(course))


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(max_examples=100, deadline=None)
@given(courses())
def test_whatever_the_rules_allow_is_accepted_by_the_emulator_again_and_again(
    course: list[Given],
) -> None:
    asyncio.run(accepted(course))


async def accepted(course: list[Given]) -> None:
    """The calls, one after the other, through the gateway."""
    resource_id = sid = ""
    async with emulated_house() as house, aiohttp.ClientSession() as session:
        for call, mode, body in course:
            place = {"acquire": "acquire", "start": f"resourceid/{resource_id}/mode/{mode}/start"}
            task = f"resourceid/{resource_id}/sid/{sid}/mode/{mode}/{call}"
            path = f"/v1/apps/{APP_ID}/cloud_recording/{place.get(call, task)}"
            async with session.post(house.url + path, json=body) as response:
                told = await response.json()
            # a stop at once finds nothing recorded: also the vendor's answer to a body it takes
            assert response.status in ({200, 206} if call == "stop" else {200}), (call, told)
            resource_id, sid = told.get("resourceId", resource_id), told.get("sid", sid)
