import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from structlog.testing import capture_logs

from agora_sidecar.store import StoreError
from scheduler.recordings.api import MAX_BODY, recordings_application
from scheduler.recordings.door import Door
from scheduler.recordings.ledger import Change
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import Source, close
from scheduler.recordings.timings import Timings
from tests.fakes.clock import FakeClock
from tests.fakes.memory_ledger import MemoryLedger
from tests.scheduler.recordings.evidence_samples import NOW, SID, session

Serve = Callable[[web.Application], Awaitable[TestClient[Any, Any]]]

PATH = f"/recordings/{SID}"
BODY = {"resourceId": "rid", "mode": "mix", "cname": "room", "uid": "527841"}
TOKEN = "a-token-é"


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def application(ledger: MemoryLedger, **known: Any) -> web.Application:
    clock = FakeClock(NOW)
    registry = Registry(ledger=ledger, timings=Timings(), clock=clock)
    door = Door(**known)
    return recordings_application(registry=registry, app_ids=["app"], clock=clock, door=door)


@pytest.fixture
async def api(ledger: MemoryLedger, aiohttp_client: Serve) -> TestClient[Any, Any]:
    return await aiohttp_client(application(ledger))


async def test_a_registered_recording_can_be_looked_at(api: TestClient[Any, Any]) -> None:
    put = await api.put(PATH, json=BODY)
    got = await api.get(PATH)
    listed = await api.get("/recordings")

    assert put.status == 201
    shown = await got.json()
    assert await put.json() == shown
    assert (shown["sid"], shown["state"], shown["wanted"]) == (SID, "starting", "recording")
    assert (shown["resourceId"], shown["unaskable"]) == ("rid", False)
    assert shown["startedAt"] == "2023-11-14T22:13:20.000+00:00"
    assert await listed.json() == {"recordings": [shown], "truncated": False}


async def test_registering_again_changes_nothing(
    api: TestClient[Any, Any], ledger: MemoryLedger
) -> None:
    await api.put(PATH, json=BODY)
    before = await ledger.load(SID)

    again = await api.put(PATH, json=BODY)

    assert again.status == 200
    assert await ledger.load(SID) == before


async def test_registering_with_other_facts_is_a_conflict(api: TestClient[Any, Any]) -> None:
    await api.put(PATH, json=BODY)

    answer = await api.put(PATH, json=BODY | {"cname": "other"})

    assert answer.status == 409
    assert "cname" in (await answer.json())["error"]


async def test_a_new_one_is_due_when_it_shall_be_confirmed(
    api: TestClient[Any, Any], ledger: MemoryLedger
) -> None:
    await api.put(PATH, json=BODY)

    assert await ledger.next_due() == NOW + 5


async def test_all_problems_are_answered_with_field_rule_and_cure(
    api: TestClient[Any, Any],
) -> None:
    answer = await api.put(PATH, json={"mode": "x", "cnam": "room"})

    assert answer.status == 400
    told = (await answer.json())["problems"]
    assert {p["field"] for p in told} == {"resourceId", "mode", "cname", "uid", "cnam"}
    assert all(p["rule"] and p["cure"] for p in told)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"cname":"\\ud800"}',
        b"NaN",
        b"[]",
        b"null",
        b"1",
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    api: TestClient[Any, Any], body: bytes
) -> None:
    answer = await api.put(PATH, data=body, headers={"Content-Type": "application/json"})

    assert answer.status == 400
    assert (await answer.json())["error"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_what_a_page_could_send_without_asking_is_refused(
    api: TestClient[Any, Any], kind: str
) -> None:
    answer = await api.put(PATH, data=json.dumps(BODY), headers={"Content-Type": kind})

    assert answer.status == 415
    assert (await api.get(PATH)).status == 404


async def test_a_body_over_the_limit_is_refused(api: TestClient[Any, Any]) -> None:
    answer = await api.put(PATH, json=BODY | {"cname": "c" * MAX_BODY})

    assert answer.status == 413
    assert "error" in await answer.json()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "[", "localhost@evil.example"]
)
async def test_a_foreign_host_is_refused(api: TestClient[Any, Any], host: str) -> None:
    answer = await api.get("/recordings", headers={"Host": host})

    assert answer.status == 421


@pytest.mark.parametrize(
    "host", ["localhost:8081", "127.0.0.1", "[::1]:8081", "Sidecar.Internal:1"]
)
async def test_known_hosts_are_served(
    ledger: MemoryLedger, aiohttp_client: Serve, host: str
) -> None:
    api = await aiohttp_client(application(ledger, allowed_hosts=["sidecar.internal"]))

    assert (await api.get("/recordings", headers={"Host": host})).status == 200


async def test_where_every_address_is_listened_on_the_token_decides_and_not_the_host(
    ledger: MemoryLedger, aiohttp_client: Serve
) -> None:
    known = {"allowed_hosts": ["0.0.0.0"], "token": "t"}
    api = await aiohttp_client(application(ledger, **known))
    host = {"Host": "sidecar.internal:8081"}

    assert (await api.get("/recordings", headers=host)).status == 401
    shown = host | {"Authorization": "Bearer t"}
    assert (await api.get("/recordings", headers=shown)).status == 200


async def test_a_wanted_stop_is_owed(api: TestClient[Any, Any], ledger: MemoryLedger) -> None:
    await api.put(PATH, json=BODY)

    answer = await api.delete(PATH)
    again = await api.delete(PATH)

    assert (answer.status, again.status) == (202, 202)
    assert (await answer.json())["wanted"] == "stopped"
    known = await ledger.load(SID)
    assert known is not None
    assert known.stop_wanted == "requested"
    assert await ledger.next_due() == NOW


async def test_one_that_outlived_its_maximum_is_shown_as_to_be_stopped(
    api: TestClient[Any, Any],
) -> None:
    started = {"startedAt": "2020-01-01T00:00:00Z", "resourceExpiredHour": 720}
    await api.put(PATH, json=BODY | started | {"maxDuration": "1m"})

    assert (await (await api.get(PATH)).json())["wanted"] == "stopped"


async def test_a_closed_recording_needs_no_stop(
    api: TestClient[Any, Any], ledger: MemoryLedger
) -> None:
    over = close(session(), "not_found", told_by=Source.QUERY, at=NOW)
    await ledger.save(Change(over), due=None, now=NOW)

    answer = await api.delete(PATH)

    assert answer.status == 200
    assert (await answer.json())["wanted"] == "recording"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_recording_is_404(api: TestClient[Any, Any], method: str) -> None:
    answer = await api.request(method, PATH)

    assert answer.status == 404
    assert await answer.json() == {"error": "no such recording is known"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", PATH, 405), ("OPTIONS", PATH, 405), ("GET", "/", 404), ("PUT", "/recordings", 405)],
)
async def test_other_routes_answer_small_json_too(
    api: TestClient[Any, Any], method: str, path: str, status: int
) -> None:
    answer = await api.request(method, path)

    assert answer.status == status
    assert set(await answer.json()) == {"error"}
    assert ("Allow" in answer.headers) == (status == 405)


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (_basic(TOKEN), 200),
        (_basic("wrong"), 401),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        (f"Digest {TOKEN}", 401),
        ("Basic !!!", 401),
        ("Basic bm9jb2xvbg==", 401),
        (None, 401),
    ],
)
async def test_the_token_must_be_shown_where_there_is_one(
    ledger: MemoryLedger, aiohttp_client: Serve, header: str | None, status: int
) -> None:
    api = await aiohttp_client(application(ledger, token=TOKEN))

    with capture_logs() as logs:
        answer = await api.get("/recordings", headers={"Authorization": header} if header else {})

    assert answer.status == status
    assert TOKEN not in str(logs)
    assert bool(logs) == (status == 401)


async def test_a_store_that_is_away_is_said_and_not_explained(
    api: TestClient[Any, Any], ledger: MemoryLedger
) -> None:
    ledger.fail_next = StoreError("unreachable", "redis://user:secret@db")

    answer = await api.get(PATH)

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert "secret" not in await answer.text()


async def test_an_unreadable_session_is_said(
    api: TestClient[Any, Any], ledger: MemoryLedger
) -> None:
    ledger.unreadable_for_test.add(SID)

    assert (await api.get(PATH)).status == 500
    assert (await api.get("/recordings")).status == 200


async def test_a_mistake_of_ours_tells_the_caller_nothing(aiohttp_client: Serve) -> None:
    class Broken(MemoryLedger):
        async def load(self, sid: str) -> None:
            raise RuntimeError("inner detail")

    api = await aiohttp_client(application(Broken()))

    with capture_logs() as logs:
        answer = await api.get(PATH)

    assert answer.status == 500
    assert "inner detail" not in await answer.text()
    assert [entry["event"] for entry in logs] == ["recording.api_failed"]


async def test_long_lists_are_cut_to_what_began_last_and_say_so(
    api: TestClient[Any, Any], ledger: MemoryLedger
) -> None:
    for number in range(1001):
        began = session(sid=f"s{number}", started_at=NOW + number)
        await ledger.save(Change(began), due=None, now=NOW)

    listed = await (await api.get("/recordings")).json()

    assert [one["sid"] for one in listed["recordings"]] == [f"s{1000 - n}" for n in range(1000)]
    assert listed["truncated"]
