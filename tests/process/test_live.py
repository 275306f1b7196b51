"""Server-sent events: bounded in number, rate and memory; no work while nobody watches."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from pytest_aiohttp.plugin import AiohttpClient

from agora_sidecar.process.page.live import Live
from tests.integration.processes import until

Client = TestClient[Any, Any]


class Told:
    """What is told, and how often it was asked for."""

    def __init__(self, size: int = 0) -> None:
        self.asked = 0
        self.more = b"x" * size

    async def __call__(self) -> bytes:
        self.asked += 1
        return str(self.asked).encode() + self.more


Make = Callable[..., Any]


@pytest.fixture
def serve(aiohttp_client: AiohttpClient) -> Make:
    async def serve(live: Live) -> Client:
        app = web.Application()
        app.router.add_get("/live", live.handle, allow_head=False)

        async def close(_: web.Application) -> None:
            await live.close()

        app.on_shutdown.append(close)
        return await aiohttp_client(app)

    return serve


@asynccontextmanager
async def watching(client: Client) -> AsyncIterator[ClientResponse]:
    async with client.get("/live") as answer:
        yield answer


async def message(answer: ClientResponse) -> bytes:
    line = await answer.content.readline()
    assert line.startswith(b"data: ")
    assert await answer.content.readline() == b"\n"
    return line.removeprefix(b"data: ").strip()


async def test_everybody_sees_the_same_messages_made_once(serve: Make) -> None:
    told = Told()
    client = await serve(Live(told, interval=0.02))

    async with watching(client) as one, watching(client) as two:
        assert (one.status, one.content_type) == (200, "text/event-stream")
        assert one.headers["Cache-Control"] == "no-store"
        first = int(await message(one))
        assert int(await message(one)) > first
        while int(await message(two)) <= first:
            pass
        assert told.asked < 100


async def test_nothing_is_asked_for_while_nobody_watches(serve: Make) -> None:
    told = Told()
    live = Live(told, interval=0.01)
    client = await serve(live)
    assert (told.asked, live.working) == (0, False)

    async with watching(client) as answer:
        await message(answer)
        assert live.working
    await until(lambda: live.viewers == 0)
    asked = told.asked
    await asyncio.sleep(0.05)
    assert (told.asked, live.working) == (asked, False)


async def test_only_so_many_may_watch_and_a_place_becomes_free(serve: Make) -> None:
    live = Live(Told(), interval=0.01, most=2)
    client = await serve(live)

    async with watching(client) as one, watching(client) as two:
        await message(one)
        await message(two)
        async with watching(client) as third:
            assert (third.status, third.headers["Retry-After"]) == (503, "10")
    await until(lambda: live.viewers == 0)
    async with watching(client) as again:
        assert again.status == 200


def has_ended(connection: socket.socket) -> bool:
    """Whether what is left to read comes to an end."""
    connection.settimeout(5)
    try:
        while connection.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


async def test_who_does_not_read_holds_nobody_up_and_is_let_go(serve: Make) -> None:
    live = Live(Told(size=400_000), interval=0.01, unread=0.2)
    client = await serve(live)

    with socket.create_connection(("127.0.0.1", client.port)) as deaf:
        deaf.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: live.viewers == 1)
        async with watching(client) as other:
            for _ in range(3):
                await message(other)
        await until(lambda: live.viewers == 0)
        assert await asyncio.to_thread(has_ended, deaf)  # not only forgotten


async def test_the_end_lets_everybody_go_at_once_and_no_one_else_in(serve: Make) -> None:
    live = Live(Told(), interval=30)
    client = await serve(live)

    async with watching(client) as answer:
        await message(answer)
        began = asyncio.get_running_loop().time()
        await live.close()
        assert await answer.content.read() == b""
        assert asyncio.get_running_loop().time() - began < 5
    await until(lambda: live.viewers == 0)
    assert not live.working
    assert (await client.get("/live")).status == 503


async def test_a_server_that_ends_does_not_wait_for_those_who_watch() -> None:
    live = Live(Told(), interval=30)
    app = web.Application()
    app.router.add_get("/live", live.handle, allow_head=False)

    async def close(_: web.Application) -> None:
        await live.close()

    app.on_shutdown.append(close)
    server = TestServer(app)
    async with TestClient(server) as client:
        answer = await client.get("/live")
        await message(answer)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await server.close()
        assert loop.time() - began < 5
        assert live.viewers == 0


async def test_a_new_viewer_after_the_last_had_gone_sees_news(serve: Make) -> None:
    client = await serve(Live(Told(), interval=0.01))
    async with watching(client) as one:
        before = int(await message(one))
    async with watching(client) as two:
        assert int(await message(two)) >= before
