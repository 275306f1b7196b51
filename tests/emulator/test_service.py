import asyncio
from typing import Any

import msgspec
import pytest

from agora_sidecar.agora.recordings import (
    EXITED,
    IN_PROGRESS,
    READY,
    STOPPED,
    STOPPING,
)
from agora_sidecar.agora.replies import read_query, read_stop
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.studio.task import GONE
from tests.emulator.laboratory import (
    ACQUIRE,
    CNAME,
    STORAGE,
    UID,
    Build,
    Laboratory,
    basic,
    start_path,
    task_path,
)

NO_ROUTE = (404, {"message": "no Route matched with those values"})
NO_WORKER = (404, {"code": 404, "reason": "failed to find worker"})
LEAVING = (400, {"code": 49, "reason": "invalid operation"})
BODY: dict[str, Any] = {"cname": CNAME, "uid": UID, "clientRequest": {}}


async def test_a_recording_lives_from_acquire_to_404(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()
    assert len(resource_id) == 252
    assert len(bytes.fromhex(sid)) == 16
    statuses = []
    for status in (1, 2, 3, READY, IN_PROGRESS):
        await laboratory.until_status(sid, status)
        answer = await laboratory.query(resource_id, sid)
        assert answer[0] == 200
        statuses.append(answer[1]["serverResponse"]["status"])
    assert statuses == [1, 2, 3, READY, IN_PROGRESS]

    stopped = await laboratory.stop(resource_id, sid)

    assert stopped[0] == 200
    assert stopped[1]["serverResponse"]["uploadingStatus"] == "unknown"
    for status in (STOPPING, STOPPED, EXITED):
        await laboratory.until_status(sid, status)
        answer = await laboratory.query(resource_id, sid)
        assert answer[1]["serverResponse"]["status"] == status
        assert await laboratory.stop(resource_id, sid) == LEAVING
    await laboratory.until_status(sid, GONE)
    assert await laboratory.query(resource_id, sid) == NO_WORKER
    assert await laboratory.stop(resource_id, sid) == NO_WORKER


async def test_our_own_vocabulary_reads_the_answers(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record(recordingFileConfig={"avFileType": ["hls", "mp4"]})
    await laboratory.until_status(sid, IN_PROGRESS)

    _, queried = await laboratory.query(resource_id, sid)
    _, stopped = await laboratory.stop(resource_id, sid)

    query = read_query(queried, host="h")
    assert (query.status, len(query.files)) == (IN_PROGRESS, 2)
    assert query.slice_start_ms is not None
    assert query.files[0].name == f"{sid}_room1_0.mp4"
    assert read_stop(stopped, host="h").uploading_status == "unknown"


@pytest.mark.parametrize(("backup", "outcome"), [(0.0, "uploaded"), (1.0, "backuped")])
async def test_a_stop_that_waits_answers_after_the_upload(
    build: Build, backup: float, outcome: str
) -> None:
    laboratory = await build(faults=Faults(backup=backup))
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, IN_PROGRESS)

    status, answer = await laboratory.finish(laboratory.stop(resource_id, sid, wait=True))

    assert status == 200
    assert answer["serverResponse"] == {
        "fileListMode": "string",
        "fileList": f"{sid}_room1.m3u8",
        "uploadingStatus": outcome,
    }
    assert laboratory.emulator.journal.recordings[sid].status in {EXITED, GONE}


async def test_a_stop_when_nobody_published_says_so(laboratory: Laboratory) -> None:
    laboratory.emulator.set_publisher(CNAME, present=False)
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, READY)

    answer = await laboratory.stop(resource_id, sid)

    assert answer == (206, {"code": 435, "reason": "no recorded data"})
    assert await laboratory.stop(resource_id, sid) == LEAVING
    await laboratory.until_status(sid, GONE)
    await laboratory.settle()
    assert laboratory.receiver.event_types == [40, 41, 11]


async def test_a_recording_nobody_publishes_to_ends_after_its_idle_time(
    laboratory: Laboratory,
) -> None:
    resource_id, sid = await laboratory.record(recordingConfig={"maxIdleTime": 5})
    await laboratory.until_status(sid, IN_PROGRESS)
    laboratory.emulator.set_publisher(CNAME, present=False)

    await laboratory.until_status(sid, GONE)

    assert await laboratory.query(resource_id, sid) == NO_WORKER
    await laboratory.settle()
    assert {41, 31, 11} <= set(laboratory.receiver.event_types)


async def test_a_publisher_can_come_later(laboratory: Laboratory) -> None:
    laboratory.emulator.set_publisher(CNAME, present=False)
    _, sid = await laboratory.record(recordingConfig={"maxIdleTime": 300})
    await laboratory.until_status(sid, READY)

    laboratory.emulator.set_publisher(CNAME, present=True)

    await laboratory.until_status(sid, IN_PROGRESS)


async def test_the_same_resource_cannot_be_started_twice(laboratory: Laboratory) -> None:
    resource_id, _ = await laboratory.record()

    assert await laboratory.start(resource_id) == (201, {"code": 7, "reason": "already started"})


async def test_the_same_channel_and_uid_cannot_be_recorded_twice_at_a_time(
    laboratory: Laboratory,
) -> None:
    resource_id, sid = await laboratory.record()
    second = await laboratory.acquire()

    assert await laboratory.start(second) == (400, {"code": 53, "reason": "task conflict"})

    await laboratory.record(uid="900002")
    await laboratory.record(cname="room2")
    await laboratory.stop(resource_id, sid)
    assert (await laboratory.start(second))[0] == 200


async def test_a_resource_must_be_used_within_five_minutes(laboratory: Laboratory) -> None:
    resource_id = await laboratory.acquire()
    laboratory.clock.advance(300.0)

    status, body = await laboratory.start(resource_id)

    assert (status, body["code"]) == (400, 433)


async def test_a_resource_serves_only_its_channel_and_uid(laboratory: Laboratory) -> None:
    resource_id = await laboratory.acquire()

    answers = [
        await laboratory.start(resource_id, cname="other"),
        await laboratory.start(resource_id, uid="2"),
        await laboratory.start("x" * 6000),
    ]

    assert [(status, body["code"]) for status, body in answers] == [
        (400, 432),
        (400, 432),
        (400, 1001),
    ]
    assert (await laboratory.start(resource_id))[0] == 200


async def test_a_recording_is_found_only_by_both_of_its_ids(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()
    other = await laboratory.acquire()

    assert await laboratory.query(other, sid) == NO_WORKER
    assert await laboratory.query(resource_id, "f" * 32) == NO_WORKER
    assert await laboratory.query("x" * 3000, "y" * 3000) == NO_WORKER


async def test_a_stop_names_the_same_channel_and_uid(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()

    status, body = await laboratory.stop(resource_id, sid, uid="2")

    assert (status, body["code"]) == (400, 432)
    assert (await laboratory.query(resource_id, sid))[0] == 200


@pytest.mark.parametrize("mode", ["foo", "MIX"])
async def test_a_mode_that_does_not_exist_is_refused(laboratory: Laboratory, mode: str) -> None:
    resource_id, sid = await laboratory.record()

    answers = [
        await laboratory.call("POST", start_path(resource_id, mode), BODY),
        await laboratory.call("GET", task_path(resource_id, sid, "query", mode)),
        await laboratory.call("POST", task_path(resource_id, sid, "stop", mode), BODY),
    ]

    assert answers == [(400, {"code": 2, "reason": "mode must be individual, mix or web"})] * 3


async def test_a_recording_is_found_only_in_its_mode(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()

    assert await laboratory.query(resource_id, sid, mode="individual") == NO_WORKER
    assert await laboratory.stop(resource_id, sid, mode="web") == NO_WORKER


@pytest.mark.parametrize("region", ["cn", "eu", "ap", "na", "us"])
async def test_a_path_may_begin_with_a_region(laboratory: Laboratory, region: str) -> None:
    status, _ = await laboratory.call("POST", f"/{region}{ACQUIRE}", BODY)

    assert status == 200
    assert laboratory.emulator.journal.calls["acquire"] == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ACQUIRE),
        ("POST", task_path("r", "s", "query")),
        ("GET", task_path("r", "s", "stop")),
        ("POST", "/v1/ncs/ip"),
        ("GET", "/v3/ncs/ip"),
        ("GET", "/"),
        ("DELETE", "/v1/ncs/ip"),
        ("GET", "/%ff%00"),
        ("POST", ACQUIRE + "/"),
    ],
)
async def test_a_wrong_method_or_path_has_no_route_whatever_the_credentials(
    laboratory: Laboratory, method: str, path: str
) -> None:
    assert await laboratory.call(method, path) == NO_ROUTE
    assert await laboratory.call(method, path, auth=None) == NO_ROUTE


async def test_without_credentials_nothing_is_answered(laboratory: Laboratory) -> None:
    status, body, headers = await laboratory.exchange("GET", "/v1/ncs/ip", auth=None)

    assert (status, body) == (401, {"message": "Unauthorized"})
    assert headers["WWW-Authenticate"] == "Basic"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic w7zDvA==",
        "Bearer token",
        basic("emulator-customer", "wrong"),
        basic("wrong", "emulator-customer-secret"),
        basic("emulator-customer", "emulator-customer-secret").replace("Basic", "Digest"),
    ],
)
async def test_wrong_credentials_are_refused(laboratory: Laboratory, header: str) -> None:
    answer = await laboratory.call(
        "GET", "/v1/ncs/ip", auth=None, headers={"Authorization": header}
    )

    assert answer == (401, {"message": "Invalid authentication credentials"})


async def test_every_answer_has_a_request_id_of_its_own(laboratory: Laboratory) -> None:
    answers = [await laboratory.exchange("GET", path) for path in ("/v1/ncs/ip", "/nowhere")]

    assert len({headers["X-Request-Id"] for _, _, headers in answers}) == 2


async def test_another_app_id_is_invalid(laboratory: Laboratory) -> None:
    answer = await laboratory.call("POST", ACQUIRE.replace("emulator-app", "other"), BODY)

    assert answer == (400, {"message": "appid is invalid"})


async def test_the_eleventh_request_of_a_second_is_too_fast(build: Build) -> None:
    laboratory = await build(requests_per_second=10.0)
    statuses = [(await laboratory.call("GET", "/v1/ncs/ip"))[0] for _ in range(10)]

    eleventh = await laboratory.call("GET", "/v1/ncs/ip")

    assert statuses == [200] * 10
    assert eleventh == (429, {"message": "API rate limit exceeded"})
    laboratory.clock.advance(0.1)
    assert (await laboratory.call("GET", "/v1/ncs/ip"))[0] == 200
    assert (await laboratory.call("GET", "/v1/ncs/ip"))[0] == 429


async def test_the_rate_is_by_the_vendors_seconds(build: Build) -> None:
    laboratory = await build(requests_per_second=10.0, speed=10.0)
    for _ in range(10):
        await laboratory.call("GET", "/v1/ncs/ip")
    laboratory.clock.advance(1.0)

    statuses = [(await laboratory.call("GET", "/v1/ncs/ip"))[0] for _ in range(11)]

    assert statuses == [200] * 10 + [429]


@pytest.mark.parametrize("path", ["/v1/ncs/ip", "/v2/ncs/ip"])
async def test_both_paths_tell_the_addresses_in_use(build: Build, path: str) -> None:
    laboratory = await build(sources=("127.0.0.11", "127.0.0.12", "127.0.0.13"), published=2)

    _, body = await laboratory.call("GET", path)

    hosts = body["data"]["service"]["hosts"]
    assert tuple(host["primaryIP"] for host in hosts) == laboratory.emulator.addresses
    assert laboratory.emulator.addresses == ("127.0.0.11", "127.0.0.12")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"cname":' + b"1" * 5000,
        msgspec.json.encode({**BODY, "cname": "x" * 100_000}),
        msgspec.json.encode({**BODY, "cname": "\x00", "uid": 1}),
        b" " * 2_000_000,
    ],
)
async def test_an_odd_body_is_a_vendor_shaped_400(laboratory: Laboratory, data: bytes) -> None:
    resource_id, sid = await laboratory.record()

    for path in (ACQUIRE, start_path(resource_id), task_path(resource_id, sid, "stop")):
        status, body = await laboratory.call("POST", path, data=data)

        assert (status, body["code"]) == (400, 2)
        assert body["reason"]


async def test_a_body_that_only_claims_to_be_compressed_is_a_400(laboratory: Laboratory) -> None:
    status, body = await laboratory.call(
        "POST", ACQUIRE, data=b"not gzip", headers={"Content-Encoding": "gzip"}
    )

    assert (status, body["code"]) == (400, 2)


async def test_a_refused_start_leaves_the_resource_to_be_used(laboratory: Laboratory) -> None:
    resource_id = await laboratory.acquire()

    status, body = await laboratory.start(resource_id, recordingConfig={"maxIdleTime": 1})

    assert (status, body["code"]) == (400, 2)
    assert (await laboratory.start(resource_id))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("POST", ACQUIRE, (500, {"code": 500, "reason": "internal_error"})),
        ("POST", start_path("r"), (500, {"code": 502, "reason": "Failed to allocate worker"})),
        ("GET", task_path("r", "s", "query"), (504, {"code": 62, "reason": "request timeout"})),
        ("POST", task_path("r", "s", "stop"), (504, {"code": 62, "reason": "request timeout"})),
        ("GET", "/v1/ncs/ip", (500, {"message": "An unexpected error occurred"})),
    ],
)
async def test_calls_fail_on_demand_as_the_endpoint_fails(
    build: Build, method: str, path: str, answer: tuple[int, Any]
) -> None:
    laboratory = await build(faults=Faults(fail=1.0))

    assert await laboratory.call(method, path, BODY if method == "POST" else None) == answer


async def test_calls_are_slow_on_demand(build: Build) -> None:
    laboratory = await build(faults=Faults(slow=1.0, slow_seconds=7.0))
    call = asyncio.ensure_future(laboratory.call("GET", "/v1/ncs/ip"))
    await laboratory.until(lambda: laboratory.clock.slept == [7.0], step=0.0)
    assert not call.done()

    laboratory.clock.advance(7.0)

    assert (await call)[0] == 200


async def test_the_address_list_is_odd_on_demand(build: Build) -> None:
    laboratory = await build(faults=Faults(addresses="empty"))

    answer = await laboratory.call("GET", "/v1/ncs/ip")

    assert answer == (200, {"data": {"service": {"hosts": []}}})


async def test_stopping_the_emulator_answers_a_stop_that_waits(build: Build) -> None:
    laboratory = await build()
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, IN_PROGRESS)
    waiting = asyncio.ensure_future(laboratory.stop(resource_id, sid, wait=True))
    journal = laboratory.emulator.journal
    await laboratory.until(lambda: journal.recordings[sid].status == STOPPING, step=0.0)

    await laboratory.emulator.stop()

    assert await waiting == (206, {"code": 65, "reason": "request not completed"})


async def test_a_start_asks_for_storage_only_in_form(laboratory: Laboratory) -> None:
    resource_id = await laboratory.acquire()

    status, _ = await laboratory.start(resource_id, storageConfig={**STORAGE, "vendor": 99})

    assert status == 200
