"""An emulator on a loop of its own thread, for commands that run a loop themselves."""

import asyncio
import threading
from typing import Self

from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions


class ThreadedEmulator:
    """`url` is where it listens while the context lasts."""

    def __init__(self) -> None:
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._emulator = Emulator(
            EmulatorOptions(speed=50.0, published=1, requests_per_second=1000.0)
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._emulator.start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._emulator.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
