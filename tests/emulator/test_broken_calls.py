"""Calls that go wrong on the way, on demand."""

import asyncio
from typing import Any

import aiohttp
import pytest

from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.script import MAX_LINES, Line, Script
from tests.emulator.laboratory import ACQUIRE, CNAME, UID, Build, Laboratory, basic, start_path

BODY = {"cname": CNAME, "uid": UID, "clientRequest": {}}
INCOMPLETE = (206, {"code": 65, "reason": "request not completed"})


async def test_a_throttled_call_is_too_fast_whatever_the_rate(build: Build) -> None:
    laboratory = await build(faults=Faults(throttle=1.0))

    answer = await laboratory.call("POST", ACQUIRE, BODY)

    assert answer == (429, {"message": "API rate limit exceeded"})


@pytest.mark.parametrize(("fault", "done"), [("cut", 0), ("cut_late", 1)])
async def test_a_cut_connection_has_no_answer_and_the_call_was_done_or_not(
    build: Build, fault: str, done: int
) -> None:
    laboratory = await build(faults=Faults(**{fault: 1.0}))

    with pytest.raises(aiohttp.ClientError):
        await laboratory.call("POST", ACQUIRE, BODY)

    assert laboratory.emulator.journal.calls["acquire"] == done


async def test_an_incomplete_start_was_done_or_not(build: Build) -> None:
    laboratory = await build()
    ids = [await laboratory.acquire(cname=f"room{n}") for n in range(20)]
    laboratory.emulator.faults = Faults(incomplete=1.0)

    answers = [
        await laboratory.start(resource_id, cname=f"room{n}") for n, resource_id in enumerate(ids)
    ]

    assert answers == [INCOMPLETE] * 20
    assert 0 < len(laboratory.emulator.journal.recordings) < 20
    laboratory.emulator.faults = Faults()
    again = [
        (await laboratory.start(resource_id, cname=f"room{n}"))[0]
        for n, resource_id in enumerate(ids)
    ]
    assert set(again) == {200, 201}


async def test_an_acquire_is_never_incomplete_as_the_vendor_documents_it(build: Build) -> None:
    laboratory = await build(faults=Faults(incomplete=1.0))

    assert await laboratory.acquire()


async def test_the_vendors_failures_are_those_of_the_endpoint(build: Build) -> None:
    laboratory = await build(faults=Faults(fail=1.0))

    acquired = [await laboratory.call("POST", ACQUIRE, BODY) for _ in range(30)]
    started = [await laboratory.call("POST", start_path("r"), BODY) for _ in range(30)]

    assert {(status, body["code"]) for status, body in acquired} == {
        (500, 500),
        (500, 501),
        (500, 504),
    }
    assert {(status, body["code"]) for status, body in started} == {(500, 502), (500, 62)}


async def test_redundant_notices_come_twice_as_two(build: Build) -> None:
    laboratory = await build(faults=Faults(redundant=1.0))
    _, sid = await laboratory.record()
    await laboratory.until(lambda: len(laboratory.receiver.arrivals) >= 8)
    await laboratory.settle()

    payloads = [str(arrival.json["payload"]) for arrival in laboratory.receiver.arrivals]
    ids = {arrival.json["noticeId"] for arrival in laboratory.receiver.arrivals}
    assert len(set(payloads)) * 2 == len(payloads) == len(ids)
    assert len(laboratory.emulator.journal.recordings[sid].events) * 2 == len(payloads)


async def test_a_stop_does_not_wait_longer_than_the_vendor(build: Build) -> None:
    laboratory = await build(faults=Faults(slow_upload=1.0))
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, 5)

    answer = await laboratory.finish(laboratory.stop(resource_id, sid, wait=True), step=1.0)

    assert answer == (206, {"code": 50, "reason": "upload timed out"})


async def test_updates_that_overlap_are_counted(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()

    await laboratory.update(resource_id, sid)
    await laboratory.update(resource_id, sid, "updateLayout")
    assert laboratory.emulator.journal.overlapping == 0

    jobs = [
        asyncio.ensure_future(laboratory.update(resource_id, sid)),
        asyncio.ensure_future(laboratory.update(resource_id, sid)),
    ]
    assert [status for status, _ in await asyncio.gather(*jobs)] == [200, 200]
    assert laboratory.emulator.journal.overlapping == 1


async def test_what_is_no_http_is_refused_without_a_traceback(
    laboratory: Laboratory, capfd: pytest.CaptureFixture[str]
) -> None:
    host, _, port = laboratory.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Odd: \x00\r\n\r\n")
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.0 400")
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        ({"status": 400, "body": '{"code":405,"reason":"no_active_status"}'}, 400, "no_active"),
        ({"status": 502, "body": "<html>", "contentType": "text/html"}, 502, "<html>"),
        ({"status": 200, "body": '{"resourceId":'}, 200, '{"resourceId":'),
        ({}, 200, ""),
    ],
)
async def test_an_answer_is_given_word_for_word_so_many_times(
    laboratory: Laboratory, line: dict[str, Any], status: int, text: str
) -> None:
    wish = {"endpoint": "acquire", "times": 2, **line}
    assert (await laboratory.call("POST", "/emulator/script", wish, auth=None))[0] == 200

    for _ in range(2):
        async with laboratory.session.post(
            laboratory.url + ACQUIRE,
            json=BODY,
            headers={"Authorization": basic("emulator-customer", "emulator-customer-secret")},
        ) as response:
            assert response.status == status
            assert text in await response.text()
    assert laboratory.emulator.journal.calls["acquire"] == 0
    assert await laboratory.acquire()


async def test_a_script_can_be_forgotten_and_must_be_readable(laboratory: Laboratory) -> None:
    path = "/emulator/script"
    assert (await laboratory.call("POST", path, {"endpoint": "acquire"}))[0] == 200
    assert (await laboratory.call("DELETE", path))[0] == 200
    assert await laboratory.acquire()

    for wrong in ({}, {"endpoint": "nowhere"}, {"endpoint": "start", "status": 99}):
        status, body = await laboratory.call("POST", path, wrong)
        assert status == 400
        assert body["error"]


def test_only_so_many_lines_wait() -> None:
    script = Script()
    for n in range(MAX_LINES + 1):
        script.add(Line(endpoint="start", body=str(n)))

    first = script.take("start")
    assert first is not None
    assert first.body == "1"
    assert script.take("query") is None
