"""Callers that leave early, come twice, or say less than others; fifty that wait."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.agora.request_bodies import LEAST_START
from tests.scheduler.recordings.gateway_house import NAMES, SID, House, place

START = {**NAMES, "clientRequest": LEAST_START}
STOP = {**NAMES, "clientRequest": {}}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House() as house:
        yield house


async def leave_during(house: House, name: str, body: object) -> None:
    """A business server that goes away while the vendor has not answered this call."""
    asked = len(house.api.asked)
    async with aiohttp.ClientSession() as session:
        call = asyncio.create_task(session.post(house.client.make_url(place(name)), json=body))
        await house.api.was_asked(asked + 1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await asyncio.sleep(0.05)  # it is gone, and the gateway knows


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - a ledger sets no event
            await asyncio.sleep(0.01)


async def test_a_recording_whose_caller_left_before_the_answer_is_known_and_not_started_twice(
    house: House,
) -> None:
    house.api.say({"resourceId": "RID", **NAMES})
    assert (await house.call("acquire", {**NAMES, "clientRequest": {}}))[0] == 200
    answered = asyncio.Event()
    house.api.say({"resourceId": "RID", "sid": SID, **NAMES})
    house.api.wait_for(answered)
    await leave_during(house, "start", START)
    status, told = await house.call("start", START)
    assert (status, told["code"]) == (201, 7)
    answered.set()
    await until(lambda: house.ledger.load(SID))
    status, told = await house.call("start", START)
    assert (status, told["code"]) == (201, 7)
    assert len(house.api.asked) == 2


async def test_a_stop_whose_caller_left_is_owed(house: House) -> None:
    await house.started(LEAST_START)
    answered = asyncio.Event()
    house.api.wait_for(answered)
    await leave_during(house, "stop", STOP)
    answered.set()

    async def owed() -> bool:
        session = await house.ledger.load(SID)
        return session is not None and bool(session.stop_wanted)

    await until(owed)


@pytest.mark.parametrize(
    ("status", "answer", "noted"),
    [
        (200, {"resourceId": "RID", "sid": SID, "serverResponse": {}}, True),
        (504, {"code": 62, "reason": "request timeout"}, True),
        (206, {"code": 65, "reason": "request not completed"}, True),
        (404, {"code": 404, "reason": "failed to find worker"}, False),
        (400, {"code": 2, "reason": "no"}, False),
    ],
)
async def test_a_stop_of_a_recording_that_was_started_elsewhere_is_owed_too(
    house: House, status: int, answer: object, *, noted: bool
) -> None:
    house.api.say(answer, status=status)
    assert (await house.call("stop", STOP))[0] == status
    session = await house.ledger.load(SID)
    assert (session is not None and session.registered and bool(session.stop_wanted)) is noted


async def test_a_caller_that_leaves_in_the_middle_of_a_body_is_no_mistake_of_ours(
    house: House,
) -> None:
    url = house.client.make_url(place("start"))
    with capture_logs() as logs:
        _, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {url.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f'{head}Content-Length: 500\r\n\r\n{{"cname": '.encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()

        async def told() -> bool:
            return bool(logs)

        await until(told)
    assert [line["event"] for line in logs] == ["gateway.refused"]
    assert house.api.asked == []


async def test_a_body_in_a_broken_encoding_is_refused(house: House) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with capture_logs() as logs:
        response = await house.client.post(place("start"), data=b"not gzip", headers=headers)
        assert (response.status, (await response.json())["code"]) == (400, 2)
    assert [line["event"] for line in logs] == ["gateway.refused"]


async def test_the_type_of_a_body_may_be_left_out_as_the_reference_has_it(house: House) -> None:
    house.api.say({"resourceId": "RID", **NAMES})
    response = await house.client.post(
        place("acquire"),
        data=b'{"cname": "room 1", "uid": "527841", "clientRequest": {}}',
        skip_auto_headers=["Content-Type"],
    )
    assert response.status == 200
    assert len(house.api.asked) == 1


CLIENTS = 50


async def calls_of_all(house: House, session: aiohttp.ClientSession, each: int) -> set[int]:
    """The statuses of so many calls of every client, one after the other; time goes on."""
    url = house.client.make_url(place("query"))

    async def client() -> set[int]:
        told = set[int]()
        for _ in range(each):
            async with session.get(url) as response:
                told.add(response.status)
                await response.read()
        return told

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    while not all(one.done() for one in clients):
        if house.timeout > 1:
            house.clock.advance(0.11)
        await asyncio.sleep(0.001)
    return set[int]().union(*(one.result() for one in clients))


def in_use(house: House) -> int:
    """Blocks of memory, without what the test itself writes down."""
    house.clock.advance(60)  # who slept and gave up is forgotten
    house.clock.slept.clear()
    house.api.asked.clear()
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize(("timeout", "status"), [(60.0, 200), (0.1, 429)])
async def test_what_fifty_clients_that_wait_for_their_turns_cost_is_given_back(
    timeout: float, status: int
) -> None:
    """With turns for all, and with none within the deadline."""
    house = House()
    house.requests_per_second, house.timeout = 10.0, timeout
    house.api.say({"resourceId": "RID", "sid": SID, "serverResponse": {}, **NAMES})
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with house, aiohttp.ClientSession(connector=connector) as session:
        assert (await house.call("query"))[0] == 200
        await calls_of_all(house, session, 2)
        before = in_use(house)
        assert status in await calls_of_all(house, session, 5)
        left = in_use(house) - before
    assert left < CLIENTS * 5 * 5, "a call that is kept has dozens"
