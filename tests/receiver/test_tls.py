"""Certificates of real files, served by a real server while the files change."""

import asyncio
import math
import os
import shutil
import ssl
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.serving import end, listening
from receiver.tls import Certificate, CertificateError
from tests.fakes.clock import FakeClock
from tests.integration.processes import until

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")

RSA = ("rsa:2048",)
EC = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
ABOUT = pytest.approx
DAY = 86_400.0


class Pair:
    """A certificate and its key; `name` is its subject."""

    def __init__(
        self, folder: Path, name: str, *, kind: tuple[str, ...] = EC, days: int = 3
    ) -> None:
        self.name = name
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl(
            *("req", "-x509", "-newkey", *kind, "-nodes", "-days", str(days)),
            *("-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:FALSE"),
            *("-keyout", str(self.key), "-out", str(self.certificate)),
        )

    def to(self, certificate: Path, key: Path) -> None:
        """Write both over what is there, in place."""
        certificate.write_bytes(self.certificate.read_bytes())
        key.write_bytes(self.key.read_bytes())


def openssl(*arguments: str) -> None:
    subprocess.run(
        ["openssl", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )


class Place:
    """Where the server looks for its files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"

    def load(self) -> Certificate:
        return Certificate(self.certificate, self.key)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("made")
    pairs = [Pair(folder, "first"), Pair(folder, "second"), Pair(folder, "rsa", kind=RSA)]
    pairs.append(Pair(folder, "small", kind=("rsa:1024",)))
    return {pair.name: pair for pair in pairs}


@pytest.fixture
def place(tmp_path: Path, made: dict[str, Pair]) -> Place:
    place = Place(tmp_path / "place")
    made["first"].to(place.certificate, place.key)
    return place


async def hello(_: web.BaseRequest) -> web.Response:
    return web.Response(text="hello")


@asynccontextmanager
async def serving(certificate: Certificate) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(hello))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def asking(**more: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in more.items():
        setattr(context, name, value)
    return context


class Client:
    """A connection that stays open; `shown` is the certificate it was shown, in DER."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        self.shown = connection.getpeercert(binary_form=True)
        self.version = connection.version()

    async def ask(self) -> bytes:
        self.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await self.reader.readuntil(b"\r\n\r\n")
        return await self.reader.readexactly(5)

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()


async def connected(port: int, *, name: str | None = None, **more: ssl.TLSVersion) -> Client:
    opened = asyncio.open_connection(
        "127.0.0.1", port, ssl=asking(**more), server_hostname=name or ""
    )
    return Client(*await asyncio.wait_for(opened, 10))


async def shown(port: int, *, name: str | None = None, **more: ssl.TLSVersion) -> bytes | None:
    client = await connected(port, name=name, **more)
    assert await client.ask() == b"hello"
    await client.close()
    return client.shown


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


@pytest.mark.parametrize("name", [None, "receiver.example"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("new", ["second", "rsa"])
async def test_new_connections_see_the_new_certificate_and_old_ones_go_on(
    place: Place, made: dict[str, Pair], name: str | None, version: ssl.TLSVersion, new: str
) -> None:
    certificate = place.load()
    async with serving(certificate) as port:
        old = await connected(port, name=name, maximum_version=version)
        assert await old.ask() == b"hello"
        made[new].to(place.certificate, place.key)
        with capture_logs() as logs:
            assert certificate.reload_if_changed()
            assert not certificate.reload_if_changed()

        assert await shown(port, name=name, maximum_version=version) == der(made[new])
        assert old.shown == der(made["first"])
        assert await old.ask() == b"hello"
        await old.close()
    assert [entry["event"] for entry in logs] == ["tls.reloaded"]
    ends = datetime.fromisoformat(logs[0]["not_after"])
    assert ends - datetime.now(UTC) == ABOUT(timedelta(days=3), abs=timedelta(minutes=10))


async def test_a_swapped_link_is_a_change(tmp_path: Path, made: dict[str, Pair]) -> None:
    """As Kubernetes does: tls.crt -> ..data/tls.crt, and ..data is replaced as a whole."""
    for version in ("first", "second"):
        (tmp_path / version).mkdir()
        made[version].to(tmp_path / version / "tls.crt", tmp_path / version / "tls.key")
    (tmp_path / "..data").symlink_to("first")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    certificate = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")

    assert not certificate.reload_if_changed()

    (tmp_path / "..new").symlink_to("second")
    (tmp_path / "..new").rename(tmp_path / "..data")

    assert certificate.reload_if_changed()
    async with serving(certificate) as port:
        assert await shown(port) == der(made["second"])


def half(pair: Pair, place: Place) -> None:
    text = pair.certificate.read_bytes()
    place.certificate.write_bytes(text[: len(text) // 2])


def half_a_chain(pair: Pair, place: Place) -> None:
    text = pair.certificate.read_bytes()
    place.certificate.write_bytes(text + text[: len(text) // 2])


def new_certificate_with_the_old_key(pair: Pair, place: Place) -> None:
    place.certificate.write_bytes(pair.certificate.read_bytes())


def half_a_key(pair: Pair, place: Place) -> None:
    text = pair.key.read_bytes()
    place.key.write_bytes(text[: len(text) // 2])


def emptied(_: Pair, place: Place) -> None:
    place.certificate.write_bytes(b"")


def gone(_: Pair, place: Place) -> None:
    place.key.unlink()


@pytest.mark.parametrize(
    "write", [half, half_a_chain, new_certificate_with_the_old_key, half_a_key, emptied, gone]
)
async def test_what_is_half_written_keeps_the_old_pair_and_is_said_once(
    place: Place, made: dict[str, Pair], write: Callable[[Pair, Place], None]
) -> None:
    certificate = place.load()
    ends = certificate.not_after
    async with serving(certificate) as port:
        with capture_logs() as logs:
            write(made["rsa"], place)
            for _ in range(3):
                assert not certificate.reload_if_changed()
            assert await shown(port) == der(made["first"])
            assert certificate.not_after == ends
            made["rsa"].to(place.certificate, place.key)
            assert certificate.reload_if_changed()
            assert await shown(port) == der(made["rsa"])
    assert [entry["event"] for entry in logs] == ["tls.reload_failed", "tls.reloaded"]
    assert logs[0]["why"].startswith("receiver.tls_")
    assert str(place.certificate.parent) in logs[0]["why"]


def test_each_change_that_fails_is_said(place: Place, made: dict[str, Pair]) -> None:
    certificate = place.load()
    good = place.certificate.read_bytes()
    with capture_logs() as logs:
        for text in (b"one", b"other one"):
            place.certificate.write_bytes(text)
            certificate.reload_if_changed()
        place.certificate.write_bytes(good)
        certificate.reload_if_changed()
        place.certificate.write_bytes(b"one")
        certificate.reload_if_changed()
    assert [entry["event"] for entry in logs] == [
        *("tls.reload_failed", "tls.reload_failed", "tls.reloaded", "tls.reload_failed")
    ]


def test_a_file_that_could_not_be_read_is_tried_again_though_it_did_not_change(
    place: Place, made: dict[str, Pair], tmp_path: Path
) -> None:
    certificate = place.load()
    kept = tmp_path / "kept"
    place.key.rename(kept)
    with capture_logs() as logs:
        assert not certificate.reload_if_changed()
        kept.rename(place.key)
        assert not certificate.reload_if_changed()
        place.key.rename(kept)
        assert not certificate.reload_if_changed()
    assert [entry["event"] for entry in logs] == ["tls.reload_failed", "tls.reload_failed"]


async def test_it_watches_its_files(place: Place, made: dict[str, Pair]) -> None:
    certificate = place.load()
    watching = asyncio.create_task(certificate.watch(SystemClock(), interval=0.01))
    before = certificate.not_after
    try:
        async with serving(certificate) as port:
            made["second"].to(place.certificate, place.key)

            async def new() -> bool:
                return await shown(port) == der(made["second"])

            await until(new)
    finally:
        await end([watching])
    assert before is not None


async def test_it_looks_at_its_interval(place: Place) -> None:
    clock = FakeClock()
    watching = asyncio.create_task(place.load().watch(clock, interval=7))
    await until(lambda: clock.slept == [7])
    clock.advance(7)
    await until(lambda: clock.slept == [7, 7])
    await end([watching])


class Fails(Certificate):
    """Its looks end in a bug."""

    def reload_if_changed(self) -> bool:
        raise RuntimeError("a bug")


async def test_a_bug_while_looking_ends_nothing(place: Place) -> None:
    clock = FakeClock()
    with capture_logs() as logs:
        certificate = Fails(place.certificate, place.key)
        watching = asyncio.create_task(certificate.watch(clock, interval=1))
        await until(lambda: len(clock.slept) == 1)
        clock.advance(1)
        await until(lambda: len(clock.slept) == 2)
        await end([watching])
    assert [entry["event"] for entry in logs] == ["tls.watch_failed"]


def test_only_tls_1_2_and_later_is_spoken(place: Place) -> None:
    context = asking()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there)
    server = place.load().context.wrap_bio(there, back, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()

    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        server.do_handshake()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
async def test_a_handshake_that_does_not_come_costs_a_connection_for_a_moment_only(
    place: Place, sent: bytes
) -> None:
    tls = place.load().context
    runner = web.ServerRunner(web.Server(hello))
    async with listening(
        runner, name="here", host="127.0.0.1", port=0, tls=tls, handshake=0.3
    ) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(10.0):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_an_ordinary_client_is_served_over_a_chain(
    tmp_path: Path, made: dict[str, Pair]
) -> None:
    """A leaf that an intermediate signed, and that one a root, which is all the client knows."""
    place = Place(tmp_path / "place")
    make_chain(tmp_path, place)
    context = ssl.create_default_context(cafile=str(tmp_path / "root.pem"))
    async with (
        serving(place.load()) as port,
        aiohttp.ClientSession() as session,
        session.get(
            f"https://127.0.0.1:{port}/", ssl=context, server_hostname="receiver.example"
        ) as response,
    ):
        assert await response.text() == "hello"


def make_chain(folder: Path, place: Place) -> None:
    extensions = folder / "extensions"
    extensions.write_text(
        "[ca]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n"
        "keyUsage=critical,keyCertSign,cRLSign\n"
        "[leaf]\nsubjectAltName=DNS:receiver.example\nauthorityKeyIdentifier=keyid\n"
    )
    issuer = "root"
    for name, section in (("root", "ca"), ("middle", "ca"), ("leaf", "leaf")):
        request, key = folder / f"{name}.csr", folder / f"{name}.key"
        openssl(
            *("req", "-new", "-newkey", *EC, "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(request)),
        )
        signer = (
            ("-signkey", str(key))
            if name == "root"
            else ("-CA", f"{folder}/{issuer}.pem", "-CAkey", f"{folder}/{issuer}.key")
        )
        openssl(
            *("x509", "-req", "-in", str(request), *signer, "-days", "3", "-set_serial", "7"),
            *("-extfile", str(extensions), "-extensions", section),
            *("-out", f"{folder}/{name}.pem"),
        )
        issuer = name
    leaf, middle = (folder / f"{name}.pem" for name in ("leaf", "middle"))
    place.certificate.write_bytes(leaf.read_bytes() + middle.read_bytes())
    shutil.copy(folder / "leaf.key", place.key)


# Errors


def refused(place: Place) -> str:
    with pytest.raises(CertificateError) as caught:
        place.load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_missing_is_named_with_its_setting(place: Place) -> None:
    place.key.unlink()

    assert refused(place) == (
        f"receiver.tls_key: {place.key}: there is no such file "
        "(wanted: the certificate's private key, unencrypted, as a PEM file)"
    )
    place.certificate.unlink()
    assert refused(place) == (
        f"receiver.tls_certificate: {place.certificate}: there is no such file "
        "(wanted: the certificate chain, as a PEM file)"
    )


def der_of_first(place: Place, made: dict[str, Pair]) -> None:
    place.certificate.write_bytes(der(made["first"]))


def text(place: Place, made: dict[str, Pair]) -> None:
    place.certificate.write_text("no certificate\n")


def keys_mixed_up(place: Place, made: dict[str, Pair]) -> None:
    shutil.copy(place.key, place.certificate)


def damaged(place: Place, made: dict[str, Pair]) -> None:
    lines = place.certificate.read_text().splitlines()
    place.certificate.write_text("\n".join([*lines[:3], *lines[4:]]))


def no_key(place: Place, made: dict[str, Pair]) -> None:
    shutil.copy(place.certificate, place.key)


def odd_key(place: Place, made: dict[str, Pair]) -> None:
    place.key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def other_key(place: Place, made: dict[str, Pair]) -> None:
    shutil.copy(made["second"].key, place.key)


def other_kind_of_key(place: Place, made: dict[str, Pair]) -> None:
    shutil.copy(made["rsa"].key, place.key)


def small(place: Place, made: dict[str, Pair]) -> None:
    made["small"].to(place.certificate, place.key)


def folder(place: Place, made: dict[str, Pair]) -> None:
    place.key.unlink()
    place.key.mkdir()


def pipe(place: Place, made: dict[str, Pair]) -> None:
    place.key.unlink()
    os.mkfifo(place.key)


def large(place: Place, made: dict[str, Pair]) -> None:
    place.certificate.write_bytes(b" " * (2 << 20))


@pytest.mark.parametrize(
    ("write", "setting", "why"),
    [
        (der_of_first, "tls_certificate", "the file is not UTF-8 at byte 1"),
        (text, "tls_certificate", "it holds no whole certificate"),
        (keys_mixed_up, "tls_certificate", "it holds no whole certificate"),
        (damaged, "tls_certificate", "a certificate in it is damaged"),
        (large, "tls_certificate", "the file is larger than 1024 KiB"),
        (small, "tls_certificate", "refused by OpenSSL: ee key too small"),
        (no_key, "tls_key", "it holds no private key"),
        (odd_key, "tls_key", "it holds no private key that can be read"),
        (other_key, "tls_key", "it is not the key of receiver.tls_certificate"),
        (other_kind_of_key, "tls_key", "it is not the key of receiver.tls_certificate"),
        (folder, "tls_key", "it is not a regular file"),
        (pipe, "tls_key", "it is not a regular file"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_setting_file_and_rule(
    place: Place,
    made: dict[str, Pair],
    write: Callable[[Place, dict[str, Pair]], None],
    setting: str,
    why: str,
) -> None:
    write(place, made)
    file = place.key if setting == "tls_key" else place.certificate

    assert refused(place).startswith(f"receiver.{setting}: {file}: {why} (wanted: ")


@pytest.mark.parametrize("form", ["pkcs8", "traditional"])
def test_an_encrypted_key_is_refused_and_asks_nobody(
    place: Place, made: dict[str, Pair], form: str
) -> None:
    """In a session with a terminal of its own, where OpenSSL would ask."""
    made["rsa"].to(place.certificate, place.key)
    how = ["-traditional"] if form == "traditional" else []
    openssl(
        *("rsa", *how, "-in", str(made["rsa"].key), "-aes256", "-passout", "pass:x"),
        *("-out", str(place.key)),
    )
    ours, theirs = os.openpty()
    try:
        done = in_a_program(place, stdin=theirs)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.startswith(f"receiver.tls_key: {place.key}: it is encrypted; nobody can be asked")
    assert done.count("\n") == 1


def in_a_program(place: Place, *, stdin: int = subprocess.DEVNULL, user: int | None = None) -> str:
    """What a process in a session of its own says to these files, on both its outputs."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from receiver.tls import Certificate, CertificateError\n"
        "if sys.argv[3:]: os.setuid(int(sys.argv[3]))\n"
        "try: Certificate(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except CertificateError as error: print(error)\n"
    )
    who = [] if user is None else [str(user)]
    return subprocess.run(
        [sys.executable, "-c", program, str(place.certificate), str(place.key), *who],
        cwd=Path(__file__).parents[2],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        timeout=30,
        text=True,
        check=True,
    ).stdout


def test_a_file_that_may_not_be_read_says_so(place: Place) -> None:
    place.key.chmod(0)
    done = in_a_program(place, user=65534 if os.geteuid() == 0 else None)

    assert "this user may not read the file" in done


# The end of a certificate


@pytest.mark.parametrize("days", [1, 3650, 40_000])  # from 2050 on in another notation
def test_the_end_is_what_openssl_says(tmp_path: Path, days: int) -> None:
    pair = Pair(tmp_path, "some", days=days)
    said = subprocess.run(
        ["openssl", "x509", "-in", str(pair.certificate), "-noout", "-enddate"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    certificate = Certificate(pair.certificate, pair.key)
    ends = ssl.cert_time_to_seconds(said.strip().removeprefix("notAfter="))

    assert certificate.not_after == ends
    assert certificate.seconds_left(ends - 5) == 5
    assert certificate.seconds_left(ends + 5) == -5


def test_an_end_that_cannot_be_read_is_unknown(place: Place) -> None:
    certificate = place.load()
    certificate.not_after = None

    assert math.isnan(certificate.seconds_left(0))
