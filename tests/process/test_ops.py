from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from prometheus_client import CollectorRegistry, Counter
from pytest_aiohttp.plugin import AiohttpClient

from agora_sidecar.process.health import Health
from agora_sidecar.process.ops import ops_application
from tests.fakes.clock import FakeClock

Client = TestClient[Any, Any]


@pytest.fixture
def health(clock: FakeClock) -> Health:
    return Health(clock)


@pytest.fixture
async def client(
    aiohttp_client: AiohttpClient, health: Health, registry: CollectorRegistry
) -> Client:
    async def status() -> dict[str, Any]:
        return {"stored": 3}

    return await aiohttp_client(
        ops_application(name="re<ceiver", health=health, registry=registry, status=status)
    )


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


async def test_status_is_one_json_object(client: Client) -> None:
    answer = await client.get("/status")

    assert answer.content_type == "application/json"
    assert await answer.json() == {"stored": 3}


async def test_the_page_links_the_others_and_escapes_its_title(client: Client) -> None:
    answer = await client.get("/")
    page = await answer.text()

    assert answer.content_type == "text/html"
    assert "<h1>re&lt;ceiver</h1>" in page
    for path in ("/status", "/readyz", "/metrics", "/livez"):
        assert f'href="{path}"' in page


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
