"""The status page in a real browser, beside real processes: what a person sees of them."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agora_sidecar.cli.demo.stage import free_ports
from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from tests.integration.processes import Sidecar, Store, sidecar, until
from tests.integration.test_receiver_process import ALWAYS, servers
from tests.integration.test_scheduler_process import SOURCES, Business, more
from tests.page.chromium import DESKTOP, PHONE, PROGRAM, Page, browser

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(150),
    pytest.mark.skipif(PROGRAM is None, reason="chromium is missing (Debian: chromium)"),
]

EVIL = "<img src=x onerror=document.title=1>"
PICTURES = os.environ.get("PICTURES", "")
"""Where the pictures are kept for somebody who wants to look at them."""

WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LATER = "(real => { performance.now = () => real() + 5000 })(performance.now.bind(performance))"
TIMELINE = "document.querySelector('.timeline')?.getAttribute('aria-label') ?? ''"
LANES = "[...document.querySelectorAll('.timeline .dot')].length"
FAINT = """
(() => {
  const number = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = number(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('script, style, svg, noscript, .hidden')) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(number(style.color)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.7 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)} (${element.className})`);
  }
  return [...found];
})()
"""


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


@asynccontextmanager
async def running(store: Store, folder: Path) -> AsyncIterator[tuple[Sidecar, Emulator, Business]]:
    """`up` between a real store and the emulator, which calls it back."""
    ports = free_ports()
    options = EmulatorOptions(
        callback=f"http://127.0.0.1:{ports.receiver}/ncs",
        secret="secret",
        speed=20.0,
        sources=SOURCES,
        published=2,
    )
    emulator = Emulator(options)
    api_url = await emulator.start()
    settings = more(api_url, folder).replace('grace = "1s"', 'grace = "40s"')
    try:
        async with sidecar("up", folder, store.url, more=settings, ports=ports) as up:
            business = Business(api_url, up)
            yield up, emulator, business
            await business.client.close()
    finally:
        await emulator.stop()


async def stands(page: Page) -> None:
    """At every width and in both lights: nothing sticks out, nothing is faint."""
    for size in (PHONE, DESKTOP):
        for dark in (False, True):
            await page.become(size, dark=dark)
            width = await page.do("innerWidth")
            await page.sees(f"Math.abs(page.width - {width}) < 300")
            assert await page.do(WIDER) == 0, (size, dark)
            assert await page.do(FAINT) == [], (size, dark)
            if PICTURES:
                kind = "phone" if size is PHONE else "desktop"
                name = f"{kind}-{'dark' if dark else 'light'}.png"
                (Path(PICTURES) / name).write_bytes(await page.picture())


async def test_a_person_sees_a_rotation_and_a_gap_and_nothing_runs_that_is_not_ours(
    store: Store, tmp_path: Path
) -> None:
    async with running(store, tmp_path) as (up, emulator, business), browser() as page:
        emulator.faults = replace(emulator.faults, mute={"gap": 2, EVIL: "end"})
        silent, evil = await business.start("gap"), await business.start(EVIL)
        await page.become(DESKTOP)
        await page.open(f"http://127.0.0.1:{up.ports.receiver_ops}/")

        await page.sees("document.querySelectorAll('.panel').length === 2")
        await page.sees("document.body.innerText.includes('127.0.0.10')")
        await emulator.rotate_addresses()
        await page.sees(
            "[...document.querySelectorAll('.address')].filter(row => row.querySelector('.grace')"
            " && /leaves in/.test(row.innerText)).length === 2"
        )
        assert "127.0.0.12\nactive" in (await page.text()).replace("✓\n", "").replace("✓", "")

        await page.sees(f"document.querySelector('[data-name=\"{silent}\"]') !== null")
        await page.do(f"document.querySelector('[data-name=\"{silent}\"]').focus()")
        await page.press("Enter", 13)
        await page.sees("document.querySelectorAll('.timeline .silence').length > 0")
        assert "silences" in str(await page.do(TIMELINE))
        assert await page.do(LANES) >= 1
        assert silent in str(await page.do("location.hash"))

        await page.do(f"choose('recording', '{evil}')")
        await page.sees(
            "document.querySelector('#recording-chosen h3').textContent.includes('<img')"
        )
        assert EVIL in await page.text()
        assert await page.do("document.querySelectorAll('img').length") == 0
        assert await page.do("document.title") == "agora-sidecar receiver and scheduler"

        # what is said again and again is one line
        await page.sees("/allowlist.polled ×\\d+/.test(document.body.innerText)")
        await stands(page)
        assert page.complaints == []
        here = {f"127.0.0.1:{up.ports.receiver_ops}"}
        assert {
            urlsplit(url).netloc for url in page.requests if not url.startswith("data:")
        } == here

        store.end()
        await page.sees(
            "document.querySelector('.verdict.warn')?.innerText.includes('Redis is away')"
        )
        assert await up.stop() == 0
        await page.sees("document.getElementById('connection').innerText.includes('no news')")


@pytest.mark.slow
async def test_the_running_demo_can_be_watched_from_outside_of_its_network(tmp_path: Path) -> None:
    out = tmp_path / "demo.out"
    with out.open("wb") as file:
        demo = subprocess.Popen(
            [sys.executable, "-m", "agora_sidecar", "demo", "--for", "40s"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        told = await until(lambda: re.search(r"look at it: (.+)\n", out.read_text()), seconds=60)
        pages = {name: url for url, name in re.findall(r"(http://\S+) (\w+)", told[1])}
        assert list(pages) == ["receiver", "scheduler"]
        async with browser() as page:
            await page.become(DESKTOP)
            await page.open(pages["scheduler"])
            # the recording whose end nobody tells, and a rotation of addresses
            silent = "[...document.querySelectorAll('.recording')].find(b => /room-silent/.test(b.innerText))"
            await page.sees(f"{silent} !== undefined")
            await page.do(f"{silent}.click()")
            await page.sees("document.querySelectorAll('.timeline .silence').length > 0")
            await page.sees("document.querySelectorAll('.address .grace').length >= 4")
            await page.sees(
                "/nftables/.test(document.body.innerText) && !/out of sync/.test(document.body.innerText)"
            )
            await stands(page)
            await page.call("Page.navigate", url=pages["receiver"])
            await page.sees("/It receives/.test(document.body.innerText)")
            assert page.complaints == []
    finally:
        demo.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(demo.wait, 60) in {0, 1}


async def test_a_page_that_nobody_looks_at_asks_for_nothing(store: Store, tmp_path: Path) -> None:
    async with sidecar("receiver", tmp_path, store.url) as receiver, browser() as page:
        await page.open(f"http://127.0.0.1:{receiver.ports.receiver_ops}/")
        await page.sees("document.querySelectorAll('.panel').length === 1")
        assert await page.do("source !== null")
        await page.do(
            "Object.defineProperty(document, 'hidden', {value: true, configurable: true}),"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        await until(lambda: page.do("source === null"))
        await page.do(
            "delete document.hidden, document.dispatchEvent(new Event('visibilitychange'))"
        )
        await page.sees("source !== null && performance.now() - heard < 1000")
        await page.press("Tab", 9)
        assert await page.do("document.activeElement.textContent") == "Skip to the content"
        assert page.complaints == []


async def test_it_is_renewed_by_another_version_but_never_by_an_error_page(
    store: Store, tmp_path: Path
) -> None:
    another = "take({ page: 'another' })"
    async with browser() as page:
        async with sidecar("receiver", tmp_path / "one", store.url) as receiver:
            await page.open(f"http://127.0.0.1:{receiver.ports.receiver_ops}/")
            await page.sees("document.querySelectorAll('.panel').length === 1")
            await page.do("window.here = true")
            await page.do(LATER)
            await receiver.stop()
        await page.do(another)
        await page.do(LATER)
        asked = len(page.requests)
        await page.do(another)
        await until(lambda: page.requests[asked:])
        await page.sees("!source || source.readyState !== EventSource.OPEN")
        assert await page.do("window.here === true && main.children.length > 0")
        async with sidecar("receiver", tmp_path / "two", store.url, ports=receiver.ports):
            await page.do(another)
            await page.do(LATER)
            await page.do(another)
            await page.sees("!window.here && document.querySelectorAll('.panel').length === 1")
