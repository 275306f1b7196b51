"""Is this body signed with one of our secrets? Over the raw bytes, in constant time.

Message notifications carry two HMACs of the raw request body, keyed with the UTF-8 bytes of the
console's secret, in hexadecimal: `Agora-Signature` (SHA-1) and `Agora-Signature-V2` (SHA-256).
Source: Docs-Source `shared/notification-center-service/signature-verification.mdx`. Of the vendor's
printed test vectors only one verifies (the fact sheet's vector A); the others were edited later.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf

from agora_sidecar.agora.errors import SignatureError

SHA1_HEADER = "Agora-Signature"
SHA256_HEADER = "Agora-Signature-V2"


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One secret of the console; `label` names it in logs and metrics, never the value.

    It is valid from `not_before` until `not_after` (Unix seconds; None: no bound).
    """

    label: str
    value: bytes = field(repr=False)
    not_before: float | None = None
    not_after: float | None = None

    def valid(self, now: float) -> bool:
        """Whether it may be used at this time."""
        started = self.not_before is None or now >= self.not_before
        return started and (self.not_after is None or now < self.not_after)


Window = tuple[float | None, float | None]
"""From when until when a secret is valid, Unix seconds; None: no bound."""


def seconds_covered(windows: Iterable[Window], now: float) -> float:
    """How long from now there is always a valid secret: 0 if there is none, infinite if for ever.

    One that begins before the last one ends goes on from there.
    """
    spans = sorted((-inf if a is None else a, inf if b is None else b) for a, b in windows)
    end = now
    for begins, ends in spans:
        if begins > end:
            break
        end = max(end, ends)
    return end - now


def sign(secret: bytes, body: bytes) -> dict[str, str]:
    """Both headers that the vendor sends with this body."""
    return {
        SHA1_HEADER: hmac.digest(secret, body, "sha1").hex(),
        SHA256_HEADER: hmac.digest(secret, body, "sha256").hex(),
    }


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[SigningSecret],
    *,
    now: float,
    accept_sha1: bool = False,
) -> str:
    """The label of the secret that signed this body.

    A SHA-256 header that is there must be right; SHA-1 counts only where it is allowed and nothing
    better was sent. Every secret is tried, so that the time taken does not tell which matched.

    Raises:
        SignatureError: `missing`, `malformed` or `mismatch`.
    """
    given, algorithm, length = headers.get(SHA256_HEADER), "sha256", 64
    if given is None and accept_sha1:
        given, algorithm, length = headers.get(SHA1_HEADER), "sha1", 40
    if given is None:
        raise SignatureError("missing")
    digest = _from_hex(given, length)
    label = None
    for secret in secrets:
        if hmac.compare_digest(_digest(secret.value, body, algorithm), digest):
            label = secret.label if secret.valid(now) else label
    if label is None:
        raise SignatureError("mismatch")
    return label


def _digest(secret: bytes, body: bytes, algorithm: str) -> bytes:
    """HMAC from prepared states: `hmac.digest` prepares them anew each time, at thrice the cost."""
    inner, outer = _states(secret, algorithm)
    inner, outer = inner.copy(), outer.copy()
    inner.update(body)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=256)
def _states(secret: bytes, algorithm: str) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """The inner and the outer hash of HMAC (RFC 2104) after the key."""
    empty = hashlib.new(algorithm)
    key = secret if len(secret) <= empty.block_size else hashlib.new(algorithm, secret).digest()
    key = key.ljust(empty.block_size, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
    return hashlib.new(algorithm, inner), hashlib.new(algorithm, outer)


def _from_hex(given: str, length: int) -> bytes:
    try:
        digest = bytes.fromhex(given)
    except ValueError as error:
        raise SignatureError("malformed") from error
    if len(given) != length or len(digest) != length // 2:  # fromhex passes over spaces
        raise SignatureError("malformed")
    return digest
