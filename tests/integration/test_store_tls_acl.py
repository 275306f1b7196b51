"""The receiver in front of a store that speaks TLS, with the right authority and a wrong one."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.processes import get, sidecar, until
from tests.integration.test_receiver_process import notice, send, spool_is_empty
from tests.integration.topology import Node

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=20)


@pytest.fixture
def papers() -> Iterator[Path]:
    """Two authorities, and a certificate for 127.0.0.1 that the first one signed."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    with tempfile.TemporaryDirectory(prefix="as-") as name:
        at = Path(name)
        for ca in ("right", "wrong"):
            out = ("-keyout", f"{at}/{ca}.key", "-out", f"{at}/{ca}.pem")
            openssl("req", "-x509", *key, *out, "-subj", f"/CN={ca}", "-days", "2")
        openssl(
            *("req", *key, "-keyout", f"{at}/server.key", "-out", f"{at}/server.csr"),
            *("-subj", "/CN=store"),
        )
        (at / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(
            *("x509", "-req", "-in", f"{at}/server.csr", "-out", f"{at}/server.pem"),
            *("-CA", f"{at}/right.pem", "-CAkey", f"{at}/right.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", f"{at}/names"),
        )
        yield at


class Encrypted(Node):
    """A server on a TLS port alone."""

    def __init__(self, program: str, papers: Path) -> None:
        super().__init__(program, papers / "store")
        self._papers = papers
        self.options = (
            *("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", f"{papers}/server.pem", "--tls-key-file", f"{papers}/server.key"),
            *("--tls-ca-cert-file", f"{papers}/right.pem"),
            *("--appendonly", "yes", "--appendfsync", "always"),
        )

    def trusting(self, ca: str) -> str:
        return f"rediss://127.0.0.1:{self.port}?ssl_ca_certs={self._papers}/{ca}.pem"

    @property
    def url(self) -> str:
        return self.trusting("right")


@pytest.fixture
async def store(papers: Path) -> AsyncIterator[Encrypted]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on the PATH; the Valkey of the wheel has no TLS")
    store = Encrypted(program, papers)
    try:
        await store.start()
        yield store
    finally:
        store.end()


async def test_events_are_stored_over_tls(store: Encrypted, tmp_path: Path) -> None:
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        for number in range(10):
            assert await send(receiver, notice(number)) == (200, "stored")
        assert await store.do("XLEN", "{ncs}:events") == 10


async def test_a_wrong_authority_is_one_clear_error_and_the_spool_answers(
    store: Encrypted, tmp_path: Path
) -> None:
    async with sidecar("receiver", tmp_path, store.trusting("wrong")) as receiver:
        await until(lambda: receiver.said("store.lost"))
        for number in range(5):
            assert await send(receiver, notice(number)) == (200, "spooled")
        status, text = await get(receiver.ports.receiver_ops, "/readyz")
        redis = json.loads(text)["dependencies"]["redis"]
        assert (status, redis["ok"]) == (200, False)
        assert "certificate verify failed" in redis["why"].lower()
        assert len(receiver.said("store.lost")) == 1
        assert "Traceback" not in receiver.out.read_text()
        await receiver.stop()
    # the same spool, with the right authority
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        await until(lambda: spool_is_empty(receiver), seconds=10)
        assert await store.do("XLEN", "{ncs}:events") == 5
