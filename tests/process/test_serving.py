import asyncio
import os
import signal
import socket
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web

from agora_sidecar.process.serving import ListenError, background, listening, run


def runner() -> web.AppRunner:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return web.AppRunner(app)


async def test_it_serves_for_as_long_as_the_block_and_tells_its_port() -> None:
    async with (
        listening(runner(), name="here", host="127.0.0.1", port=0) as port,
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        assert await answer.text() == "hello"
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_an_address_that_is_not_ours_is_one_clear_error(host: str) -> None:
    with pytest.raises(ListenError, match=rf"^receiver.listen: cannot listen on {host} port 1: "):
        async with listening(runner(), name="receiver.listen", host=host, port=1):
            raise AssertionError("it listens")


async def test_a_taken_port_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=r"^scheduler\.ops_listen"):
            async with listening(
                runner(), name="scheduler.ops_listen", host="127.0.0.1", port=port
            ):
                raise AssertionError("it listens")


async def test_background_work_ends_with_the_block() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background(work()):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_background_work_that_loses_a_cancellation_ends_all_the_same() -> None:
    async def work() -> None:
        with suppress(asyncio.CancelledError):  # as Python 3.11's wait_for may
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with background(work()):
            await asyncio.sleep(0)


async def test_background_work_that_fails_ends_the_block() -> None:
    async def work() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        async with background(work()):
            await asyncio.Event().wait()
    assert caught.group_contains(RuntimeError, match="a bug")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("fast", [False, True])
def test_a_signal_sets_the_event_and_uvloop_is_for_those_who_want_it(
    number: signal.Signals, *, fast: bool
) -> None:
    seen: list[str] = []

    async def main(stop: asyncio.Event) -> None:
        seen.append(type(asyncio.get_running_loop()).__module__)
        os.kill(os.getpid(), number)
        await stop.wait()

    run(main, fast=fast)
    assert seen[0].startswith("uvloop") == fast
