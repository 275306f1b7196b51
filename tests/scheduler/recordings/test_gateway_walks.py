import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agora.request_bodies import LEAST_START
from tests.scheduler.recordings.emulated_house import EmulatedHouse, emulated_house

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
