"""The public port's certificate: loaded from two files, and again whenever they change.

The context that the server holds stays the same; in each handshake it hands over to the newest
pair that was loaded whole. To load a new pair into the context that serves would not do: OpenSSL
keeps one certificate for each type of key, so that an RSA one would not replace an EC one, and a
file that is half written would leave a certificate without its key.
"""

import asyncio
import binascii
import math
import os
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.process.text_file import read_text

log = structlog.get_logger()

CERTIFICATE, KEY = "receiver.tls_certificate", "receiver.tls_key"
MAX_FILE = 1 << 20
"""Bytes; chains are a few KiB."""
INTERVAL = 10.0
"""Seconds between looks at the files: certificates are renewed days before they end."""

_WANTED = {CERTIFICATE: "the certificate chain", KEY: "the certificate's private key, unencrypted"}
_CERTIFICATES = re.compile(r"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]")
# No certificate assigned: the key is of another type than the one that was loaded
_STRANGERS = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})

_Seen = tuple[tuple[int, int, int] | None, ...]


class CertificateError(Exception):
    """A file cannot be used; the message names the setting, the file and the rule, in one line."""

    def __init__(self, setting: str, file: Path, why: str) -> None:
        super().__init__(f"{setting}: {file}: {why} (wanted: {_WANTED[setting]}, as a PEM file)")


class _EncryptedError(Exception):
    """The private key has a passphrase."""


class Certificate:
    """A certificate and its key, and the context that serves them.

    `context` is for the server; it stays the same object. `not_after` is when the certificate ends,
    as Unix seconds, None where that cannot be read.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both.

        Raises:
            CertificateError: they are not a certificate and its key.
        """
        self._files = certificate, key
        self._loaded = _looks(self._files)
        self._current, self.not_after = _load(certificate, key)
        self._refused: _Seen | None = None
        self.context = self._current
        self.context.sni_callback = self._hand_over

    def seconds_left(self, now: float) -> float:
        """Seconds until the certificate ends, negative after that, NaN where it is not known."""
        return math.nan if self.not_after is None else self.not_after - now

    def reload_if_changed(self) -> bool:
        """Look at both files, and serve what is there if it is another pair; whether it was.

        Connections that are open go on. What cannot be used is said once for each change and tried
        again with each look; until then the pair before it is served.
        """
        looks = _looks(self._files)  # before they are read: a change meanwhile is seen next time
        if looks == self._loaded:
            self._refused = None
            return False
        try:
            self._current, self.not_after = _load(*self._files)
        except CertificateError as error:
            if looks != self._refused:
                log.error("tls.reload_failed", why=str(error))
            self._refused = looks
            return False
        self._loaded, self._refused = looks, None
        log.info("tls.reloaded", not_after=_written(self.not_after))
        return True

    async def watch(self, clock: Clock, *, interval: float = INTERVAL) -> None:
        """Look for ever, every `interval` seconds, without keeping connections waiting."""
        while True:
            await clock.sleep(interval)
            try:
                await asyncio.to_thread(self.reload_if_changed)
            except Exception as error:  # boundary: a bug here must not end what goes well
                log.exception("tls.watch_failed", why=repr(error))

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        """Called in each handshake, whether or not the client named a server."""
        connection.context = self._current


def _load(certificate: Path, key: Path) -> tuple[ssl.SSLContext, float | None]:
    leaf = _check_chain(certificate)
    _check_key(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without this argument OpenSSL would ask the terminal for a passphrase
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _EncryptedError:
        raise CertificateError(KEY, key, "it is encrypted; nobody can be asked") from None
    except ssl.SSLError as error:
        if error.reason in _STRANGERS:
            why = f"it is not the key of {CERTIFICATE}"
            raise CertificateError(KEY, key, why) from error
        if (error.reason or "").startswith(("CA_", "EE_")):  # key too small, digest too weak
            why = f"refused by OpenSSL: {error.reason.lower().replace('_', ' ')}"
            raise CertificateError(CERTIFICATE, certificate, why) from error
        raise CertificateError(KEY, key, "it holds no private key that can be read") from error
    except OSError as error:  # changed since it was looked at
        raise CertificateError(CERTIFICATE, certificate, str(error.strerror)) from error
    return context, _not_after(leaf)


def _check_chain(file: Path) -> bytes:
    """The first certificate of the file, in DER."""
    text = _read(CERTIFICATE, file)
    blocks = _CERTIFICATES.findall(text)
    if not blocks:
        raise CertificateError(CERTIFICATE, file, "it holds no whole certificate")
    if len(blocks) != text.count("-----BEGIN CERTIFICATE-----"):
        raise CertificateError(CERTIFICATE, file, "a certificate in it is cut off")
    try:
        chain = [binascii.a2b_base64(block) for block in blocks]
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=b"".join(chain))
    except (ValueError, ssl.SSLError) as error:
        raise CertificateError(CERTIFICATE, file, "a certificate in it is damaged") from error
    return chain[0]


def _check_key(file: Path) -> None:
    if not _PRIVATE_KEY.search(_read(KEY, file)):
        raise CertificateError(KEY, file, "it holds no private key")


def _read(setting: str, file: Path) -> str:
    look = _look(file)
    if look and not S_ISREG(look.st_mode):  # a pipe would be waited for
        raise CertificateError(setting, file, "it is not a regular file")
    try:
        return read_text(str(file), limit=MAX_FILE)
    except ValueError as error:
        raise CertificateError(setting, file, str(error)) from None


def _no_passphrase() -> str:
    raise _EncryptedError


def _looks(files: tuple[Path, ...]) -> _Seen:
    found = [_look(file) for file in files]
    return tuple(look and (look.st_mtime_ns, look.st_size, look.st_ino) for look in found)


def _look(file: Path) -> os.stat_result | None:
    try:
        return file.stat()  # of what a link leads to: Kubernetes swaps a link
    except (OSError, ValueError):
        return None


def _not_after(der: bytes) -> float | None:
    """When a certificate ends (RFC 5280, 4.1); no public function of `ssl` tells without a peer."""
    try:
        # Certificate > tbsCertificate > [version] serial signature issuer validity > notBefore
        parts = _members(_members(_members(der)[0][1])[0][1])
        validity = parts[4 if parts[0][0] == 0xA0 else 3][1]
        tag, text = _members(validity)[1]
        return _instant(tag, text.decode("ascii"))
    except (IndexError, ValueError):
        return None


def _members(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of the elements of one level."""
    found = []
    while data:
        start, length = 2, data[1]
        if length & 0x80:
            start = 2 + (length & 0x7F)
            length = int.from_bytes(data[2:start], "big")
        found.append((data[0], data[start : start + length]))
        data = data[start + length :]
    return found


def _instant(tag: int, text: str) -> float:
    """UTCTime has two digits of the year, GeneralizedTime four."""
    if tag == 0x17:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _written(instant: float | None) -> str | None:
    return None if instant is None else datetime.fromtimestamp(instant, UTC).isoformat()
