"""Where people look in: the status pages of the demo, from outside of its network namespace.

A listening socket stays where it was made. So those for people are made before the namespace is
entered, and inherited; whoever comes is carried to the page inside.
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

WINDOWS = "AGORA_SIDECAR_DEMO_WINDOWS"
"""Environment: the numbers of the inherited sockets, in the order of the processes."""
HERE = "127.0.0.1"


def opened(count: int) -> dict[str, str]:
    """Sockets that a program which replaces this one inherits, as it is told of them."""
    windows = [socket.create_server((HERE, 0)) for _ in range(count)]
    for window in windows:
        window.set_inheritable(True)
    return {WINDOWS: ",".join(str(window.detach()) for window in windows)}


def inherited(environ: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The sockets that were made for us outside."""
    numbers = [text for text in environ.get(WINDOWS, "").split(",") if text.isdigit()]
    return [socket.socket(fileno=int(number)) for number in numbers]


def addresses(windows: Sequence[socket.socket], ports: Mapping[str, int]) -> dict[str, str]:
    """Where each process's page is to be seen; without windows at its own port."""
    seen = [window.getsockname()[1] for window in windows] or list(ports.values())
    return {name: f"http://{HERE}:{port}/" for name, port in zip(ports, seen, strict=False)}


async def look_through(window: socket.socket, port: int) -> None:
    """Carry those who come to this window to a port in here, until cancelled."""
    carrying: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_carry(reader, writer, port))
        carrying.add(task)
        task.add_done_callback(carrying.discard)

    server = await asyncio.start_server(carry, sock=window)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()  # and not waited for: who looks need not know that it is over
        for task in carrying:
            task.cancel()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    with suppress(OSError):
        answer, asked = await asyncio.open_connection(HERE, port)
        there = asyncio.create_task(_pipe(reader, asked))
        try:
            await _pipe(answer, writer)
        finally:
            there.cancel()
            asked.close()
    writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
