"""The public port as it is deployed: its certificate, and who may deliver."""

import asyncio
import json
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from agora_sidecar.agora.signatures import sign
from tests.integration.processes import SECRET, Sidecar, Store, get, sidecar, until
from tests.integration.test_receiver_process import ALWAYS, notice, run, servers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


def issue(folder: Path, name: str) -> None:
    """A pair that signs itself, in place of the one that is there."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-days", "2", "-keyout", str(folder / "k.new"), "-out", str(folder / "c.new")),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "k.new").rename(folder / "key.pem")
    (folder / "c.new").rename(folder / "cert.pem")


async def send(
    receiver: Sidecar,
    number: int,
    *,
    trust: Path | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    body = notice(number)
    scheme = "https" if trust else "http"
    context = ssl.create_default_context(cafile=str(trust)) if trust else None
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{scheme}://127.0.0.1:{receiver.ports.receiver}/ncs",
                data=body,
                headers=sign(SECRET.encode(), body) | (headers or {}),
                ssl=context or True,
            ) as response,
        ):
            return response.status, (await response.json())["status"]
    except aiohttp.ClientError:
        return 0, ""


async def test_tls_is_served_and_a_new_certificate_taken_up_without_a_restart(
    store: Store, tmp_path: Path
) -> None:
    issue(tmp_path, "first")
    first = tmp_path / "first.pem"
    first.write_bytes((tmp_path / "cert.pem").read_bytes())
    settings = f'tls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"'
    async with sidecar(
        "receiver", tmp_path, store.url, receiver=settings, ready="/readyz"
    ) as receiver:
        assert await send(receiver, 1, trust=first) == (200, "stored")
        metrics = (await get(receiver.ports.receiver_ops, "/metrics"))[1]
        (left,) = [line for line in metrics.splitlines() if line.startswith("agora_sidecar_certi")]
        assert 86_400 < float(left.split()[1]) <= 2 * 86_400

        issue(tmp_path, "second")

        async def served() -> bool:
            return (await send(receiver, 2, trust=tmp_path / "cert.pem"))[0] == 200

        await until(served)
        assert (await send(receiver, 3, trust=first))[0] == 0


def test_a_certificate_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    (tmp_path / "cert.pem").write_text("no certificate")
    config.write_text(
        f'data_dir = "{tmp_path}"\n[redis]\nurl = "unix://{tmp_path}/none"\n[receiver]\n'
        f'secret = "s"\nlisten = "127.0.0.1:0"\nops_listen = "127.0.0.1:0"\n'
        f'tls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n'
    )
    ended = run("receiver", "--config", str(config))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("receiver.tls_certificate: ")


LISTED, STRANGER = "203.0.113.7", "8.8.8.8"


async def publish(store: Store, *addresses: str) -> None:
    listed = json.dumps([{"address": address, "state": "active"} for address in addresses])
    await store.do("HSET", "{ncs}:allowlist", "addresses", listed)


async def test_a_stranger_with_the_secret_is_refused_and_hinted_at_behind_a_proxy(
    store: Store, tmp_path: Path
) -> None:
    settings = 'require_listed = "enforce"\ntrusted_proxies = ["127.0.0.1"]'
    async with sidecar(
        "receiver", tmp_path, store.url, receiver=settings, ready="/readyz"
    ) as receiver:
        stranger = {"X-Forwarded-For": STRANGER}
        assert (await send(receiver, 1, headers=stranger))[0] == 200  # nobody has published a list

        await publish(store, LISTED)
        await until(lambda: receiver.said("addresses.changed"))
        assert (await send(receiver, 2, headers=stranger)) == (403, "refused")
        forged = {"X-Forwarded-For": f"{LISTED}, {STRANGER}"}
        assert (await send(receiver, 2, headers=forged)) == (403, "refused")
        unclear = {"X-Forwarded-For": LISTED, "Forwarded": f"for={STRANGER}"}
        assert (await send(receiver, 2, headers=unclear)) == (403, "refused")
        assert (await send(receiver, 2, headers={"X-Forwarded-For": LISTED})) == (200, "stored")

        await until(lambda: _hints(store))
        ((_, fields),) = await store.do("XRANGE", "{ncs}:hints", "-", "+")
        assert STRANGER.encode() in (fields.values() if isinstance(fields, dict) else fields)
        metrics = (await get(receiver.ports.receiver_ops, "/metrics"))[1]
        assert 'agora_sidecar_deliveries_total{client="unlisted"} 2.0' in metrics


async def _hints(store: Store) -> bool:
    return await store.do("XLEN", "{ncs}:hints") == 1


async def test_observing_refuses_nobody(store: Store, tmp_path: Path) -> None:
    await publish(store, LISTED)
    async with sidecar(
        "receiver", tmp_path, store.url, receiver='require_listed = "observe"', ready="/readyz"
    ) as receiver:
        await until(lambda: receiver.said("addresses.changed"))
        answers = await asyncio.gather(*(send(receiver, n) for n in range(3)))
        assert {status for status, _ in answers} == {200}
        metrics = (await get(receiver.ports.receiver_ops, "/metrics"))[1]
        assert 'agora_sidecar_deliveries_total{client="unlisted"} 3.0' in metrics
