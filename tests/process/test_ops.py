from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from prometheus_client import CollectorRegistry, Counter
from pytest_aiohttp.plugin import AiohttpClient

from agora_sidecar.process.health import Health
from agora_sidecar.process.ops import ops_application
from agora_sidecar.process.page.board import Board, DetailError, Panel
from tests.fakes.clock import FakeClock

Client = TestClient[Any, Any]


@pytest.fixture
def health(clock: FakeClock) -> Health:
    return Health(clock)


@pytest.fixture
async def client(
    aiohttp_client: AiohttpClient, health: Health, registry: CollectorRegistry
) -> Client:
    return await aiohttp_client(ops_application(panel=panel(health), registry=registry))


def panel(health: Health, name: str = "re<ceiver", **more: Any) -> Panel:
    async def status() -> dict[str, Any]:
        return {"stored": 3}

    return Panel(name, "panels.x = 1 < 2;", status, health, **more)


async def test_a_process_that_runs_is_alive_whatever_it_depends_on(
    client: Client, health: Health
) -> None:
    health.report("redis", "unreachable")
    answer = await client.get("/livez")

    assert (answer.status, answer.content_type) == (200, "application/json")
    assert await answer.json() == {"status": "alive"}


async def test_an_unready_process_says_why_and_since_when(client: Client, health: Health) -> None:
    health.report("redis", "unreachable")
    health.report("list", required=False)
    answer = await client.get("/readyz")

    since = "2023-11-14T22:13:20+00:00"
    assert (answer.status, answer.content_type) == (503, "application/json")
    assert await answer.json() == {
        "ready": False,
        "dependencies": {
            "redis": {"ok": False, "why": "unreachable", "since": since, "required": True},
            "list": {"ok": True, "since": since, "required": False},
        },
    }


async def test_a_process_becomes_ready_when_what_it_needs_is_well(
    client: Client, health: Health
) -> None:
    health.expect("redis")
    assert (await client.get("/readyz")).status == 503

    health.report("redis")
    answer = await client.get("/readyz")

    assert answer.status == 200
    assert (await answer.json())["ready"] is True


async def test_metrics_are_in_the_format_that_prometheus_reads(
    client: Client, registry: CollectorRegistry
) -> None:
    Counter("agora_sidecar_events_total", "Events.", registry=registry).inc()
    answer = await client.get("/metrics")

    assert answer.status == 200
    assert answer.content_type == "text/plain"
    assert "version=" in answer.headers["Content-Type"]
    assert "agora_sidecar_events_total 1.0" in await answer.text()


async def test_what_is_not_well_shows_in_the_metrics(client: Client, health: Health) -> None:
    health.report("redis", "unreachable")
    health.report("list")
    text = await (await client.get("/metrics")).text()
    assert "agora_sidecar_ready 0.0" in text
    assert 'agora_sidecar_dependency_well{dependency="redis"} 0.0' in text
    assert 'agora_sidecar_dependency_well{dependency="list"} 1.0' in text

    health.report("redis")
    assert "agora_sidecar_ready 1.0" in await (await client.get("/metrics")).text()


async def test_status_is_one_json_object(client: Client) -> None:
    answer = await client.get("/status")

    assert answer.content_type == "application/json"
    assert await answer.json() == {"stored": 3}


async def test_the_page_links_the_others_and_escapes_its_title(client: Client) -> None:
    answer = await client.get("/")
    page = await answer.text()

    assert (answer.content_type, answer.charset) == ("text/html", "utf-8")
    assert "<h1>agora-sidecar re&lt;ceiver</h1>" in page
    for path in ("status", "readyz", "metrics", "livez"):
        assert f'href="{path}"' in page


async def test_more_of_one_thing_is_told_by_whoever_knows_the_kind(
    aiohttp_client: AiohttpClient, health: Health, registry: CollectorRegistry
) -> None:
    async def detail(name: str) -> dict[str, Any] | None:
        if name == "away":
            raise DetailError("the store does not answer")
        return {"name": name} if name == "a/b ü" else None

    shown = panel(health, details={"thing": detail})
    client = await aiohttp_client(ops_application(panel=shown, registry=registry))

    assert await (await client.get("/status/thing/a%2Fb%20%C3%BC")).json() == {"name": "a/b ü"}
    assert (await client.get("/status/thing/other")).status == 404
    assert (await client.get("/status/other/a")).status == 404
    assert (await client.get("/status/thing/away")).status == 503


async def test_processes_of_one_program_share_a_page_while_they_run(
    aiohttp_client: AiohttpClient, health: Health
) -> None:
    board = Board()
    one = ops_application(panel=panel(health, "one"), registry=CollectorRegistry(), board=board)
    two = ops_application(panel=panel(health, "two"), registry=CollectorRegistry(), board=board)
    first, second = await aiohttp_client(one), await aiohttp_client(two)

    for client in (first, second):
        assert "<h1>agora-sidecar one and two</h1>" in await (await client.get("/")).text()
    await second.close()
    assert "<h1>agora-sidecar one</h1>" in await (await first.get("/")).text()


@pytest.mark.parametrize(
    ("listens", "named", "status"),
    [
        ("127.0.0.1", "localhost:9101", 200),
        ("127.0.0.1", "127.0.0.1:9101", 200),
        ("::1", "[::1]:9101", 200),
        ("127.0.0.1", "sidecar.localhost", 200),
        ("127.0.0.1", "rebinding.example:9101", 421),
        ("127.0.0.1", "192.0.2.1", 421),
        ("127.0.0.1", "[:x", 421),
        ("0.0.0.0", "sidecar.internal.example:9101", 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "/status"])
async def test_on_this_machine_alone_it_answers_under_its_names_alone(
    aiohttp_client: AiohttpClient, health: Health, listens: str, named: str, status: int, path: str
) -> None:
    app = ops_application(panel=panel(health), registry=CollectorRegistry(), host=listens)
    client = await aiohttp_client(app)

    assert (await client.get(path, headers={"Host": named})).status == status


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/status"])
async def test_a_probe_may_use_head(client: Client, path: str) -> None:
    answer = await client.head(path)

    assert answer.status == 200
    assert await answer.read() == b""


@pytest.mark.parametrize("path", ["/x", "/status/", "/livez/x", "/.env"])
async def test_nothing_else_is_here(client: Client, path: str) -> None:
    assert (await client.get(path)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed_here(client: Client, method: str) -> None:
    answer = await client.request(method, "/status")

    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
