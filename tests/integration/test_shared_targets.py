"""Two schedulers as they are deployed, with one firewall between them and a file for each."""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agora_sidecar.cli.embedded import server_program
from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from tests.integration.processes import Store, get, sidecar, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

SOURCES = tuple(f"127.0.0.{number}" for number in range(20, 24))
EDGE = """\
#!/bin/sh
# read | apply: the list in one file, slowly; who wrote it and under which fence, in another
here=$(dirname "$0")
case $1 in
read) cat "$here/edge.list" 2>/dev/null || true ;;
apply)
    cat >"$here/given"
    while [ -e "$here/slow" ]; do sleep 0.1; done
    jq -r .epoch "$here/given" >>"$here/epochs"
    mv "$here/given" "$here/edge.list"
    ;;
esac
"""


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder), "--appendonly", "yes")
        await store.start()
        yield store
        store.end()


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    emulator = Emulator(EmulatorOptions(speed=20.0, sources=SOURCES, published=2))
    yield emulator
    await emulator.stop()


def settings(api_url: str, folder: Path, edge: Path) -> str:
    return f"""
[agora]
app_id = "emulator-app"
customer_id = "emulator-customer"
customer_secret = "emulator-customer-secret"
base_urls = ["{api_url}"]
requests_per_second = 50
[allowlist]
poll_interval = "300ms"
grace = "1h"
reserved = "accept"
[[allowlist.targets]]
kind = "command"
name = "edge"
format = "json"
read = ["{edge}", "read"]
apply = ["{edge}", "apply"]
[[allowlist.targets]]
kind = "file"
path = "{folder}/allow.conf"
format = "nginx"
"""


def in_file(folder: Path) -> set[str]:
    file = folder / "allow.conf"
    lines = file.read_text().splitlines() if file.exists() else []
    return {line[6:-1] for line in lines if line.startswith("allow ")}


async def test_one_leads_at_the_shared_firewall_and_nobody_waits_for_it(
    store: Store, emulator: Emulator, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    edge, listed, slow = (tmp_path / name for name in ("edge", "edge.list", "slow"))
    edge.write_text(EDGE)
    edge.chmod(0o755)
    api = await emulator.start()

    def on_edge() -> set[str]:
        return set(json.loads(listed.read_text())["addresses"]) if listed.exists() else set()

    first, everybody = set(SOURCES[:2]), set(SOURCES)
    async with sidecar("scheduler", one, store.url, more=settings(api, one, edge)) as leader:
        await until(lambda: on_edge() == first)
        async with sidecar(
            "scheduler", other, store.url, more=settings(api, other, edge)
        ) as follower:
            await until(lambda: in_file(other) == first)
            slow.touch()
            await emulator.rotate_addresses()
            # each machine's own file follows, while the shared firewall hangs
            await until(lambda: in_file(one) == in_file(other) == everybody)
            assert on_edge() == first
            slow.unlink()
            await until(lambda: on_edge() == everybody)
            epochs = set((tmp_path / "epochs").read_text().split())
            assert len(epochs) == 1
            assert await leader.stop() == 0
            listed.unlink()  # somebody takes it away: who leads now puts it back
            await until(lambda: on_edge() == everybody)
            assert set((tmp_path / "epochs").read_text().split()) > epochs
            status = json.loads((await get(follower.ports.scheduler_ops, "/status"))[1])
            problems = {t["name"]: t["problem"] for t in status["allowlist"]["targets"]}
            assert problems == {"command:edge": "", f"file:{other}/allow.conf": ""}
