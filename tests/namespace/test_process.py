"""The scheduler as it is deployed, with the real packet filter and commands given to it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from agora_sidecar.cli.allowlist import app
from tests.integration.processes import Sidecar, get, sidecar, until
from tests.namespace.conftest import INSIDE
from tests.namespace.lab import Machine, machine, nft
from tests.namespace.test_packets import CLIENT, PORT, SERVER, STRANGERS, VENDOR, serving
from tests.namespace.test_watch import connects, enforced

pytestmark = pytest.mark.timeout(110)

NOBODY = "redis://127.0.0.1:1/0"
"""A store that is away: the packet filter must not need it."""
SOURCES = (VENDOR[0], VENDOR[1])
STRANGER = STRANGERS[0]


@pytest.fixture(autouse=True)
def no_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INSIDE)  # its name begins as those of settings do


@pytest.fixture
def client() -> Iterator[Machine]:
    nft("flush", "ruleset")
    with machine(SERVER, CLIENT) as found:
        found.has(*VENDOR, *STRANGERS)
        yield found


class Vendor:
    """Answers with the list it is told."""

    def __init__(self) -> None:
        self.listed = [SOURCES[0]]

    async def answer(self, _: web.Request) -> web.Response:
        hosts = [{"primaryIP": address} for address in self.listed]
        return web.json_response({"data": {"service": {"hosts": hosts}}})


@pytest.fixture
async def vendor() -> AsyncIterator[tuple[Vendor, str]]:
    vendor, site = Vendor(), web.Application()
    site.router.add_get("/v1/ncs/ip", vendor.answer)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield vendor, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def settings(api_url: str) -> str:
    return f"""
[agora]
app_id = "emulator-app"
customer_id = "emulator-customer"
customer_secret = "emulator-customer-secret"
base_urls = ["{api_url}"]
[[allowlist.targets]]
kind = "nftables"
port = {PORT}
mode = "enforce"
"""


async def command(folder: Path, *words: str) -> tuple[int, str]:
    config = next(folder.glob("*.toml"))
    run = partial(CliRunner().invoke, app, [*words, "--config", str(config)])
    result = await asyncio.to_thread(run)
    return result.exit_code, result.output


async def status(scheduler: Sidecar) -> dict[str, Any]:
    shown = json.loads((await get(scheduler.ports.scheduler_ops, "/status"))[1])
    found: dict[str, Any] = shown["allowlist"]
    return found


async def test_a_rotation_a_flush_and_a_kill_cost_nothing_and_orders_are_kept(
    client: Machine, vendor: tuple[Vendor, str], tmp_path: Path
) -> None:
    """Polls are due every two hours: whatever happens here happens because of something else."""
    lists, url = vendor
    more = settings(url)
    async with serving():
        async with sidecar("scheduler", tmp_path, NOBODY, more=more) as scheduler:
            await until(enforced)
            assert await connects(client, STRANGER, 0.4) is None
            assert await connects(client, SOURCES[0], 4.0) is not None

            lists.listed = [SOURCES[1]]
            took = await connects(client, SOURCES[1], 9.0)
            assert took is not None
            shown = await status(scheduler)
            assert [blind["address"] for blind in shown["blindTimes"]] == [SOURCES[1]]
            assert STRANGER in [source["address"] for source in shown["unlisted"]]

            await asyncio.to_thread(nft, "flush", "ruleset")
            await until(enforced)
            await until(lambda: scheduler.said("allowlist.repaired"))

            assert (await command(tmp_path, "freeze", "--why", "a test"))[0] == 0
            assert (await status(scheduler))["frozen"]["why"] == "a test"
            code, said = await command(tmp_path, "apply")
            assert (code, "unfreeze" in said) == (1, True)
            code, said = await command(tmp_path, "uninstall")
            assert (code, "stop it first" in said) == (1, True)
            scheduler.process.send_signal(signal.SIGKILL)
            scheduler.process.wait(10)

        # nobody runs: the port stays closed, and a command does its work itself
        assert await connects(client, STRANGER, 0.4) is None
        assert await connects(client, SOURCES[1], 4.0) is not None
        assert (await command(tmp_path, "unfreeze"))[0] == 0
        code, said = await command(tmp_path, "open", "--for", "30s")
        assert code == 0, said
        assert await connects(client, STRANGER, 4.0) is not None
        assert (await command(tmp_path, "close"))[0] == 0
        assert await connects(client, STRANGER, 0.4) is None
        code, said = await command(tmp_path, "status")
        assert (code, "enforcing is not known to be safe" in said) == (0, True)
        code, said = await command(tmp_path, "history", "--last", "50")
        assert all(word in said for word in ("cause=knock", "cause=drift", "order=freeze"))
        assert (await command(tmp_path, "uninstall"))[0] == 0
        assert "agora_sidecar" not in nft("list", "ruleset")
