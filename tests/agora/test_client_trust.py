"""Which hosts are believed, blamed and reached, and what never leaves this machine."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from agora_sidecar.agora.client import Client
from agora_sidecar.agora.errors import (
    NoTurnError,
    RefusedError,
    RetryLaterError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.process.clock import SystemClock
from tests.fakes.agora_api import AgoraApi

RECORDING = Recording("app", "RID", "SID", "mix", "room1", "900001")
RUNNING = {"resourceId": "RID", "sid": "SID", "serverResponse": {"status": 5}}


class Host(AgoraApi):
    """An API that is served, with its address."""

    url = ""

    @property
    def name(self) -> str:
        return self.url.removeprefix("http://")


@pytest.fixture
async def hosts() -> AsyncIterator[tuple[Host, Host]]:
    pair = (Host(), Host())
    servers = [TestServer(host.application) for host in pair]
    for host, server in zip(pair, servers, strict=True):
        await server.start_server()
        host.url = str(server.make_url("")).rstrip("/")
    yield pair
    for server in servers:
        await server.close()


def client_of(*hosts: Host) -> Client:
    return Client(
        base_urls=[host.url for host in hosts],
        customer_id="id",
        customer_secret="s3cret",
        validate=False,
        clock=SystemClock(),
        requests_per_second=1000,
        timeout=0.5,
    )


@pytest.mark.parametrize(
    "body", [{}, {"resourceId": None}, {"sid": ""}, {"serverResponse": "x"}, {"ok": True}]
)
async def test_an_object_that_is_not_about_a_task_does_not_make_a_host_trusted(
    hosts: tuple[Host, Host], body: object
) -> None:
    """A 404 of a trusted host is evidence that a recording ended."""
    host, _ = hosts
    host.say(body)
    async with client_of(host) as client:
        with pytest.raises(UnexpectedAnswerError):
            await client.query(RECORDING)
        assert not client.has_answered(host.name)
        host.say(RUNNING)
        await client.query(RECORDING)
        assert client.has_answered(host.name)


async def test_a_list_without_data_does_not_make_a_host_trusted(hosts: tuple[Host, Host]) -> None:
    host, _ = hosts
    host.say({"data": None})
    async with client_of(host) as client:
        with pytest.raises(UnexpectedAnswerError):
            await client.ncs_ip()
        assert not client.has_answered(host.name)


async def test_an_id_that_is_missing_does_not_make_a_host_trusted(hosts: tuple[Host, Host]) -> None:
    host, _ = hosts
    host.say({"resourceId": ""})
    async with client_of(host) as client:
        with pytest.raises(UnexpectedAnswerError):
            await client.acquire("app", cname="room1", uid="900001", client_request={})
        assert not client.has_answered(host.name)


async def test_after_a_host_hung_in_start_the_next_call_begins_elsewhere(
    hosts: tuple[Host, Host],
) -> None:
    first, second = hosts
    first.hang()
    second.say({"sid": "SID"})
    wish = {"resource_id": "RID", "mode": "mix", "cname": "room1", "uid": "1", "client_request": {}}
    async with client_of(first, second) as client:
        with pytest.raises(RetryLaterError):
            await client.start("app", **wish)
        assert not second.asked, "the first may have received it"
        assert await client.start("app", **wish) == "SID"
    assert len(first.asked) == 1


@pytest.mark.parametrize(
    "recording",
    [
        Recording("app", "RID", "\ud800", "mix", "room1", "900001"),
        Recording("app", "RID", "SID", "mix", "\ud800", "900001"),
    ],
)
async def test_text_that_cannot_be_sent_is_refused_here(
    hosts: tuple[Host, Host], recording: Recording
) -> None:
    host, _ = hosts
    async with client_of(host) as client:
        with pytest.raises(RefusedError):
            await client.stop(recording)
    assert not host.asked


async def test_a_proxy_of_the_environment_is_not_between_us_and_this_machine(
    hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _ = hosts
    host.say(RUNNING)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with client_of(host) as client:
        assert (await client.query(RECORDING)).status == 5


async def test_answers_are_asked_for_uncompressed(hosts: tuple[Host, Host]) -> None:
    host, _ = hosts
    host.say(RUNNING)
    async with client_of(host) as client:
        await client.query(RECORDING)
    assert host.asked[0].headers["Accept-Encoding"] == "identity"


async def test_a_start_without_a_turn_in_the_budget_is_no_hosts_failure(
    hosts: tuple[Host, Host],
) -> None:
    first, second = hosts
    first.say({"sid": "SID"})
    wish = {"resource_id": "RID", "mode": "mix", "cname": "room1", "uid": "1", "client_request": {}}
    client = Client(
        base_urls=[first.url, second.url],
        customer_id="id",
        customer_secret="s3cret",
        validate=False,
        clock=SystemClock(),
        requests_per_second=0.8,
        timeout=0.2,
    )
    async with client:
        await client.start("app", **wish)
        with pytest.raises(NoTurnError), capture_logs() as logs:
            await client.start("app", **wish)
        assert not logs
        await asyncio.sleep(1.2)
        assert await client.start("app", **wish) == "SID"
    assert not second.asked
