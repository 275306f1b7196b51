"""A real browser, driven over its own protocol: what a person would see, do and be told."""

import asyncio
import base64
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.processes import until

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"),
)
PHONE, DESKTOP = (390, 844), (1440, 1000)
PATIENCE = 45.0
"""Seconds; a browser starts slowly on a busy machine."""


class Page:
    """One tab, and all it complained about."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        self.requests: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if told.get("id") in self._asked:
                self._asked.pop(told["id"]).set_result(told)
            else:
                self._heard(told.get("method", ""), told.get("params", {}))

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description", details)))
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.complaints.append(str([argument.get("value") for argument in params["args"]]))
        elif method == "Log.entryAdded":
            self.complaints.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            answer = await self._asked[number]
        assert "error" not in answer, answer["error"]
        return dict(answer["result"])

    async def do(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = await self._evaluate(script)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def sees(self, script: str) -> Any:
        """Wait until this is true there; an error is not yet: a page that comes has no body."""

        async def holds() -> Any:
            answer = await self._evaluate(script)
            return "exceptionDetails" not in answer and answer["result"].get("value")

        return await until(holds, seconds=PATIENCE)

    async def _evaluate(self, script: str) -> dict[str, Any]:
        return await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )

    async def text(self) -> str:
        return str(await self.do("document.body.innerText"))

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def become(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """Another screen: width and height, light or dark."""
        width, height = size
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}),
            )

    async def picture(self) -> bytes:
        """The whole page as PNG."""
        answer = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """A fresh browser with one empty tab; ended, and its files gone, when the block ends."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="as-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [PROGRAM, *OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with aiohttp.ClientSession() as session:
                url = await _tab(session, Path(folder) / "DevToolsActivePort")
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    page = Page(socket)
                    listening = asyncio.ensure_future(page.listen())
                    yield page
                    listening.cancel()
                    with suppress(asyncio.CancelledError):
                        await listening
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


async def _tab(session: aiohttp.ClientSession, told: Path) -> str:
    port = await until(
        lambda: told.exists() and told.read_text().splitlines()[:1], seconds=PATIENCE
    )
    async with session.get(f"http://127.0.0.1:{port[0]}/json/list") as answer:
        [tab] = [one for one in await answer.json() if one["type"] == "page"]
    return str(tab["webSocketDebuggerUrl"])
