import asyncio
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import agora_sidecar
import receiver
import scheduler
from agora_sidecar.process.health import Health
from agora_sidecar.process.page import board as board_module
from agora_sidecar.process.page.board import Board, Panel
from agora_sidecar.process.page.document import document, part
from scheduler.panel import script
from tests.fakes.clock import FakeClock

ASSETS = [
    path
    for package in (agora_sidecar, receiver, scheduler)
    for kind in ("*.js", "*.css", "*.html")
    for path in Path(str(package.__file__)).parent.rglob(kind)
]


async def _status() -> dict[str, Any]:
    return {"version": "1"}


def panels() -> list[Panel]:
    health = Health(FakeClock())
    return [
        Panel("receiver", part("receiver", "panel.js"), _status, health),
        Panel("scheduler", script(), _status, health),
    ]


def blocks(page: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)


def test_the_policy_names_exactly_what_is_on_the_page() -> None:
    made = document(panels())
    page, policy = made.body.decode(), made.headers["Content-Security-Policy"]

    digests = [
        f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
        for tag in ("style", "script")
        for text in blocks(page, tag)
    ]
    assert len(digests) == 6  # one style, five scripts
    assert sorted(re.findall(r"'sha256-[^']+'", policy)) == sorted(digests)
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|\*|https?:", policy)


def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup() -> None:
    assert len(ASSETS) >= 10
    for path in ASSETS:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import|url\((?!#)", text), path.name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", text
        ), path.name
        assert not re.search(r"<[a-z][^>]*\s(on[a-z]+|style)=", text), path.name
        assert "</script" not in text or path.suffix == ".html", path.name


def test_nothing_on_the_page_changes_anything() -> None:
    """The only requests are GET: no method is ever named."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in ASSETS)

    assert not re.search(r"method\s*[:=]|XMLHttpRequest|sendBeacon|WebSocket", text)


def test_another_script_is_another_page() -> None:
    one, other = panels()[:1], panels()
    assert document(one).digest != document(other).digest
    assert document(one) == document(one)


async def test_a_panel_that_fails_or_hangs_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board_module, "WITHIN", 0.02)

    async def fails() -> dict[str, Any]:
        raise RuntimeError("a secret")

    async def hangs() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    board, health = Board(), Health(FakeClock())
    with (
        board.showing(Panel("a", "", fails, health)),
        board.showing(Panel("b", "", hangs, health)),
        board.showing(Panel("c", "", _status, health)),
    ):
        told = await board.now()

    assert list(told) == ["a", "b", "c"]
    assert "log" in told["a"]["problem"]
    assert "secret" not in told["a"]["problem"]
    assert "no answer" in told["b"]["problem"]
    assert (told["c"]["status"], told["c"]["problem"]) == ({"version": "1"}, "")
    assert await board.now() == {}
