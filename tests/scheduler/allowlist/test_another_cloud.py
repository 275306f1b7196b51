"""The worked example of docs/targets.md: taken from there, and run through the suite of targets."""

import importlib.util
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scheduler.allowlist.targets import Target
from tests.scheduler.allowlist.contract import TargetContract

DOCUMENT = Path(__file__).parents[3] / "docs" / "targets.md"
THEIRS = {
    "direction": "in",
    "protocol": "tcp",
    "port": "22",
    "source_ips": ["10.0.0.0/8"],
    "destination_ips": [],
    "description": "logins",
}


def example(folder: Path) -> Any:
    section = DOCUMENT.read_text(encoding="utf-8").partition("## Another cloud is one file\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found
    path = folder / "hetzner.py"
    path.write_text(found[1])
    spec = importlib.util.spec_from_file_location("hetzner", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Firewall:
    """Two routes of the cloud's API, over one firewall."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = [THEIRS]
        self.calls_left: int | None = None

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer t":
            return web.json_response({"error": {"code": "unauthorized"}}, status=401)
        if self.calls_left == 0:
            return web.json_response({"error": {"code": "unavailable"}}, status=503)
        if self.calls_left is not None:
            self.calls_left -= 1
        if request.method == "POST":
            self.rules = (await request.json())["rules"]
            return web.json_response({"actions": []}, status=201)
        return web.json_response({"firewall": {"id": 7, "rules": self.rules}})


class TestAnotherCloud(TargetContract):
    @pytest.fixture
    async def target(self, tmp_path: Path) -> AsyncIterator[Target]:
        self.firewall = Firewall()
        app = web.Application()
        app.router.add_get("/v1/firewalls/7", self.firewall.answer)
        app.router.add_post("/v1/firewalls/7/actions/set_rules", self.firewall.answer)
        async with TestServer(app) as server:
            api = str(server.make_url("")).rstrip("/")
            yield example(tmp_path).HetznerTarget(api, firewall=7, port=443, token="t")

    async def others(self) -> object:
        return [rule for rule in self.firewall.rules if rule["description"] != "agora-sidecar"]

    @contextmanager
    def broken_after(self, steps: int) -> Iterator[None]:
        self.firewall.calls_left = steps
        yield
        self.firewall.calls_left = None
