import asyncio
import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agora_sidecar.agora.client import Client
from agora_sidecar.agora.errors import (
    ApiError,
    LeavingError,
    NoWorkerError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.hosts import HOME_AFTER, Hosts, host_name
from agora_sidecar.agora.recordings import IN_PROGRESS, Recording
from agora_sidecar.process.clock import Clock, SystemClock
from tests.agora.samples import json_sample
from tests.fakes.agora_api import AgoraApi
from tests.fakes.clock import FakeClock

RECORDING = Recording("app", "RID", "SID", "mix", "room1", "900001")
EVERYTHING = {"resourceId": "RID", "sid": "SID", "serverResponse": {"status": 5}, "data": {}}
TIMEOUT = 1.0
"""Seconds, where it is to run out; elsewhere calls have more than they need."""
TLS = ssl.create_default_context()

Serve = Callable[..., Awaitable[TestServer]]
Call = Callable[[Client], Awaitable[Any]]

REPEATABLE: dict[str, Call] = {
    "acquire": lambda client: client.acquire("app", cname="room1", uid="1", client_request={}),
    "query": lambda client: client.query(RECORDING),
    "update": lambda client: client.update(RECORDING, client_request={}),
    "updateLayout": lambda client: client.update_layout(RECORDING, client_request={}),
    "stop": lambda client: client.stop(RECORDING),
    "ncs_ip": lambda client: client.ncs_ip(),
}
BEGINNING: dict[str, Call] = {
    "start": lambda client: client.start(
        "app", resource_id="RID", mode="mix", cname="room1", uid="1", client_request={}
    ),
}
SYNCHRONOUS: dict[str, Call] = {
    "synchronous stop": lambda client: client.stop(RECORDING, async_stop=False),
}
ALL = REPEATABLE | BEGINNING | SYNCHRONOUS

BROKEN: dict[str, Callable[[AgoraApi], None]] = {
    "500": lambda api: api.say({"code": 500, "reason": "internal_error"}, status=500),
    "502 page": lambda api: api.say_html(status=502),
    "504": lambda api: api.say({"code": 62, "reason": "request timeout"}, status=504),
    "206/65": lambda api: api.say({"code": 65, "reason": "request not completed"}, status=206),
    "page": lambda api: api.say_html(),
    "404 page": lambda api: api.say_html(status=404),
    "odd route": lambda api: api.say({"message": "no Route matched"}, status=404),
    "other JSON": lambda api: api.say({"status": "ok"}),
    "redirect": lambda api: api.redirect("http://192.0.2.1/"),
    "cut": lambda api: api.cut(),
    "truncated": lambda api: api.truncate(b"{"),
    "flood": lambda api: api.flood(),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two hosts and a client that knows both."""

    first: AgoraApi
    second: AgoraApi
    urls: tuple[str, str]

    @asynccontextmanager
    async def client(
        self, clock: Clock | None = None, *, timeout: float = 10.0
    ) -> AsyncIterator[Client]:
        async with client_of(self.urls, clock or SystemClock(), timeout=timeout) as client:
            yield client


def client_of(urls: Sequence[str], clock: Clock, *, timeout: float = TIMEOUT) -> Client:
    return Client(
        base_urls=urls,
        customer_id="id",
        customer_secret="secret",
        validate=False,
        clock=clock,
        requests_per_second=math.inf,
        timeout=timeout,
        stop_timeout=timeout,
        transport=httpx.AsyncHTTPTransport(verify=TLS),
    )


@pytest.fixture
async def pair(aiohttp_server: Serve) -> Pair:
    apis = AgoraApi(), AgoraApi()
    for api in apis:
        api.say(EVERYTHING)
    servers = [await aiohttp_server(api.application) for api in apis]
    first, second = (str(server.make_url("/")) for server in servers)
    return Pair(*apis, (first, second))


@pytest.fixture
def closed_url() -> str:
    """Where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
async def mute_url() -> AsyncIterator[str]:
    """An https URL whose host takes the connection and never says a word of TLS."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, w: taken.append(w), "127.0.0.1", 0)
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in taken:
        writer.close()
    await server.wait_closed()


def failed(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "agora.host_failed"]


@pytest.mark.parametrize("trouble", BROKEN)
@pytest.mark.parametrize("name", REPEATABLE)
async def test_a_call_that_may_be_repeated_goes_on_to_the_next_host(
    pair: Pair, name: str, trouble: str
) -> None:
    BROKEN[trouble](pair.first)
    async with pair.client() as client:
        await REPEATABLE[name](client)
    assert (len(pair.first.asked), len(pair.second.asked)) == (1, 1)


@pytest.mark.parametrize("trouble", BROKEN)
@pytest.mark.parametrize("name", BEGINNING)
async def test_what_a_host_may_have_begun_is_not_begun_again_elsewhere(
    pair: Pair, name: str, trouble: str
) -> None:
    BROKEN[trouble](pair.first)
    async with pair.client() as client:
        with pytest.raises((RetryLaterError, UnexpectedAnswerError)):
            await BEGINNING[name](client)
    assert (len(pair.first.asked), len(pair.second.asked)) == (1, 0)


@pytest.mark.parametrize("name", ALL)
async def test_a_host_that_refuses_the_connection_is_left_by_every_call(
    pair: Pair, name: str, closed_url: str
) -> None:
    async with client_of([closed_url, pair.urls[1]], SystemClock()) as client:
        await ALL[name](client)
    assert len(pair.second.asked) == 1


@pytest.mark.parametrize("name", ALL)
async def test_a_host_that_never_finishes_the_handshake_is_left_by_every_call(
    pair: Pair, name: str, mute_url: str
) -> None:
    began = time.monotonic()
    async with client_of([mute_url, pair.urls[1]], SystemClock()) as client:
        began = time.monotonic()
        await ALL[name](client)
    assert time.monotonic() - began < TIMEOUT
    assert len(pair.second.asked) == 1


@pytest.mark.parametrize("name", ALL)
async def test_a_host_that_speaks_no_tls_is_left_by_every_call(pair: Pair, name: str) -> None:
    plain = pair.urls[0].replace("http://", "https://")
    async with client_of([plain, pair.urls[1]], SystemClock()) as client:
        with capture_logs() as logs:
            await ALL[name](client)
    assert len(failed(logs)) == 1
    assert len(pair.second.asked) == 1


@pytest.mark.parametrize("lever", ["hang", "trickle"])
@pytest.mark.parametrize("name", REPEATABLE)
async def test_a_hanging_host_does_not_use_up_the_whole_deadline(
    pair: Pair, name: str, lever: str
) -> None:
    getattr(pair.first, lever)()
    async with pair.client(timeout=TIMEOUT) as client:
        began = time.monotonic()
        await REPEATABLE[name](client)
        took = time.monotonic() - began
    assert took < TIMEOUT + 0.5
    assert len(pair.second.asked) == 1


async def test_several_hanging_hosts_leave_time_for_the_last_one(aiohttp_server: Serve) -> None:
    apis = [AgoraApi() for _ in range(3)]
    for api in apis:
        api.hang()
    apis[-1].say(EVERYTHING)
    urls = [str((await aiohttp_server(api.application)).make_url("/")) for api in apis]
    async with client_of(urls, SystemClock(), timeout=2.0) as client:
        assert (await client.query(RECORDING)).status == IN_PROGRESS
    assert [len(api.asked) for api in apis] == [1, 1, 1]


@pytest.mark.parametrize("name", REPEATABLE)
async def test_when_all_hosts_hang_the_call_ends_in_time_and_names_the_first(
    pair: Pair, name: str
) -> None:
    pair.first.hang()
    pair.second.hang()
    async with pair.client(timeout=TIMEOUT) as client:
        began = time.monotonic()
        with pytest.raises(RetryLaterError) as caught:
            await REPEATABLE[name](client)
    assert time.monotonic() - began < TIMEOUT + 0.5
    assert caught.value.host == host_name(pair.urls[0])
    assert (len(pair.first.asked), len(pair.second.asked)) == (1, 1)


@pytest.mark.parametrize("name", BEGINNING | SYNCHRONOUS)
async def test_a_host_that_was_reached_has_all_the_time_where_another_is_no_help(
    pair: Pair, name: str
) -> None:
    late = asyncio.Event()
    pair.first.wait_for(late)
    async with pair.client(timeout=2.0) as client:
        asyncio.get_running_loop().call_later(1.1, late.set)  # more than half
        await ALL[name](client)
    assert (len(pair.first.asked), len(pair.second.asked)) == (1, 0)


@pytest.mark.parametrize("name", ALL)
async def test_too_many_requests_are_not_tried_elsewhere(pair: Pair, name: str) -> None:
    pair.first.say({"message": "API rate limit exceeded"}, status=429)
    async with pair.client() as client:
        with pytest.raises(SlowDownError):
            await ALL[name](client)
    assert pair.second.asked == []


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(404, 404, NoWorkerError), (400, 49, LeavingError)]
)
async def test_the_vendors_own_word_is_final(
    pair: Pair, status: int, code: int, kind: type[ApiError]
) -> None:
    pair.first.say({"code": code}, status=status)
    async with pair.client() as client:
        with pytest.raises(kind) as caught:
            await client.stop(RECORDING)
    assert caught.value.host == host_name(pair.urls[0])
    assert pair.second.asked == []


async def test_no_worker_names_the_host_that_said_so(pair: Pair) -> None:
    BROKEN["502 page"](pair.first)
    pair.second.say({"code": 404, "reason": "failed to find worker"}, status=404)
    async with pair.client() as client:
        with pytest.raises(NoWorkerError) as caught:
            await client.query(RECORDING)
        assert caught.value.host == host_name(pair.urls[1])
        assert not client.has_answered(host_name(pair.urls[1]))


async def test_another_hosts_word_can_be_wanted(pair: Pair) -> None:
    for api in (pair.first, pair.second):
        api.say(EVERYTHING)
    async with pair.client() as client:
        first = await client.query(RECORDING)
        second = await client.query(RECORDING, avoid=first.host)
        third = await client.query(RECORDING)

    assert first.host == third.host == host_name(pair.urls[0])
    assert second.host == host_name(pair.urls[1])


async def test_when_every_host_fails_the_first_ones_trouble_is_told(pair: Pair) -> None:
    BROKEN["504"](pair.first)
    BROKEN["page"](pair.second)
    async with pair.client() as client:
        with pytest.raises(RetryLaterError) as caught, capture_logs() as logs:
            await client.query(RECORDING)
    assert (caught.value.host, caught.value.code) == (host_name(pair.urls[0]), 62)
    assert failed(logs) == []


async def test_a_client_without_hosts_says_so() -> None:
    async with client_of([], SystemClock()) as client:
        with pytest.raises(RetryLaterError, match="no host"):
            await client.query(RECORDING)


async def test_the_host_that_works_is_asked_first_until_it_is_time_to_go_home(
    pair: Pair, clock: FakeClock
) -> None:
    BROKEN["502 page"](pair.first)
    async with pair.client(clock) as client:
        with capture_logs() as logs:
            for _ in range(3):
                await client.query(RECORDING)
                clock.advance(1.0)
        assert (len(pair.first.asked), len(pair.second.asked)) == (1, 3)
        clock.advance(HOME_AFTER)
        pair.first.say(EVERYTHING)
        await client.query(RECORDING)
        assert (len(pair.first.asked), len(pair.second.asked)) == (2, 3)
    first, second = map(host_name, pair.urls)
    assert failed(logs) == [
        {
            "event": "agora.host_failed",
            "log_level": "warning",
            "host": first,
            "instead": second,
            "why": f"query: HTTP 502, not a JSON object from {first}",
        }
    ]


async def test_home_that_still_fails_is_left_again(pair: Pair, clock: FakeClock) -> None:
    BROKEN["cut"](pair.first)
    async with pair.client(clock) as client:
        await client.query(RECORDING)
        clock.advance(HOME_AFTER)
        with capture_logs() as logs:
            await client.query(RECORDING)
            clock.advance(HOME_AFTER / 2)
            await client.query(RECORDING)
    assert len(failed(logs)) == 1
    assert (len(pair.first.asked), len(pair.second.asked)) == (2, 3)


async def test_a_refusal_of_the_next_host_shows_that_it_works(pair: Pair, clock: FakeClock) -> None:
    BROKEN["cut"](pair.first)
    pair.second.say({"code": 404}, status=404)
    async with pair.client(clock) as client:
        for _ in range(2):
            clock.advance(0.01)
            with pytest.raises(NoWorkerError):
                await client.query(RECORDING)
    assert (len(pair.first.asked), len(pair.second.asked)) == (1, 2)


async def test_many_calls_that_fail_together_are_one_line_in_the_log(pair: Pair) -> None:
    together = asyncio.Event()
    BROKEN["502 page"](pair.first)
    pair.first.wait_for(together)
    async with pair.client(timeout=10.0) as client:
        with capture_logs() as logs:
            calls = [asyncio.create_task(client.query(RECORDING)) for _ in range(10)]
            await pair.first.was_asked(10)
            together.set()
            await asyncio.gather(*calls)
    assert len(failed(logs)) == 1
    assert len(pair.second.asked) == 10


async def test_a_late_answer_of_the_host_that_was_left_accuses_nobody(pair: Pair) -> None:
    late = asyncio.Event()
    pair.first.wait_for(late)
    async with pair.client(timeout=10.0) as client:
        slow = asyncio.create_task(client.query(RECORDING))
        await pair.first.was_asked(1)
        BROKEN["cut"](pair.first)
        await client.query(RECORDING)
        with capture_logs() as logs:
            late.set()
            await slow
            await client.query(RECORDING)
    assert failed(logs) == []
    assert (len(pair.first.asked), len(pair.second.asked)) == (2, 2)


async def test_a_base_url_may_have_a_region_in_its_path(pair: Pair) -> None:
    pair.first.say(json_sample("query/mix-hls"))
    async with client_of([pair.urls[0] + "eu/"], SystemClock()) as client:
        await client.query(RECORDING)
    assert pair.first.asked[0].path.startswith("/eu/v1/apps/app/")


def test_a_base_url_is_plain_and_its_host_is_named_with_the_port() -> None:
    hosts = Hosts(["https://id:secret@api.example:8443/eu/", "http://[::1]:80"])
    assert hosts.order(0.0) == ("https://api.example:8443/eu", "http://[::1]:80")
    assert [host_name(url) for url in hosts.order(0.0)] == ["api.example:8443", "[::1]:80"]


def test_the_same_host_written_twice_is_one() -> None:
    assert Hosts(["http://a/", "http://b", "http://a"]).order(0.0) == ("http://a", "http://b")


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100)), max_size=30))
def test_every_host_is_always_in_the_order_exactly_once(moves: list[tuple[int, float]]) -> None:
    urls = [f"http://{number}" for number in range(4)]
    hosts, now = Hosts(urls), 1000.0
    for number, seconds in moves:
        now += seconds
        asked = hosts.order(now)
        assert sorted(asked) == urls
        left = hosts.settle(urls[number], asked=asked, now=now)
        assert left == (None if urls[number] == asked[0] else asked[0])
        assert hosts.order(now)[0] == urls[number]
    assert hosts.order(now + HOME_AFTER + 1) == tuple(urls)


def test_a_host_whose_word_is_known_is_asked_last() -> None:
    hosts = Hosts(["https://one.example", "https://two.example", "https://three.example"])
    urls = hosts.order(100.0, avoid="one.example")
    assert urls == ("https://two.example", "https://three.example", "https://one.example")
    assert hosts.order(100.0, avoid="nobody.example") == hosts.order(100.0)
