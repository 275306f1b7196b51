import hmac
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.errors import SignatureError
from agora_sidecar.agora.signatures import SigningSecret, seconds_covered, sign, verify

# Docs-Source shared/common/_enable-ncs.mdx: the only published vector whose digests are right
VECTOR_A = (
    b'{"eventMs":1560408533119,"eventType":10,"noticeId":"4eb720f0-8da7-11e9-a43e-53f411c2761f",'
    b'"notifyMs":1560408533119,"payload":{"a":"1","b":2},"productId":1}'
)
VECTOR_A_HEADERS = {
    "Agora-Signature": "033c62f40f687675f17f0f41f91a40c71c0f134c",
    "Agora-Signature-V2": "6d3320c60b11101395b7fc8f9068748808a0aa1bfa064438e39d1bc2c7d74d99",
}
# the fact sheet's own vector, with a two-byte character
VECTOR_B = '{"noticeId":"31aeb35a9245cbd977cfe18b438b75ed","productId":3,"eventType":40,"notifyMs":1700000000123,"payload":{"cname":"salle-é","uid":"527841","sid":"38f8e3cfdc474cd56fc1ceba380d7e1a","sequence":0,"sendts":1700000000100,"serviceType":1,"details":{"msgName":"recorder_started","status":0}}}'.encode()
VECTOR_B_HEADERS = {
    "Agora-Signature": "65a3ca9bfabbe6ad799cdde48b5a5027dcc4ab41",
    "Agora-Signature-V2": "14406061c9526136b993d274c9da49a623c84cc380732bacbb08432fa551358e",
}
SECRET = SigningSecret("only", b"secret")
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("body", "headers"), [(VECTOR_A, VECTOR_A_HEADERS), (VECTOR_B, VECTOR_B_HEADERS)]
)
def test_the_vendors_vectors_verify(body: bytes, headers: dict[str, str]) -> None:
    assert sign(b"secret", body) == headers
    assert verify(headers, body, [SECRET], now=NOW) == "only"


def test_sha1_alone_counts_only_where_it_is_allowed() -> None:
    headers = {"Agora-Signature": VECTOR_A_HEADERS["Agora-Signature"]}
    with pytest.raises(SignatureError, match="missing"):
        verify(headers, VECTOR_A, [SECRET], now=NOW)
    assert verify(headers, VECTOR_A, [SECRET], now=NOW, accept_sha1=True) == "only"


def test_a_right_sha1_does_not_save_a_wrong_sha256() -> None:
    headers = VECTOR_A_HEADERS | {"Agora-Signature-V2": "0" * 64}
    with pytest.raises(SignatureError, match="mismatch"):
        verify(headers, VECTOR_A, [SECRET], now=NOW, accept_sha1=True)


@pytest.mark.parametrize(
    "given_header",
    ["", "abc", "z" * 64, "0" * 63, "0" * 65, " " * 64, "é" * 64, "0x" + "0" * 62, "\x00" * 64],
)
def test_a_malformed_signature_is_refused_by_name(given_header: str) -> None:
    with pytest.raises(SignatureError, match="malformed") as caught:
        verify({"Agora-Signature-V2": given_header}, VECTOR_A, [SECRET], now=NOW)
    assert caught.value.status == 401


def test_the_label_of_the_secret_that_matched_is_told() -> None:
    old, new = SigningSecret("old", b"one"), SigningSecret("new", b"two")
    assert verify(sign(b"two", b"{}"), b"{}", [old, new], now=NOW) == "new"
    assert verify(sign(b"one", b"{}"), b"{}", [old, new], now=NOW) == "old"


def test_a_secret_counts_only_in_its_time() -> None:
    secret = SigningSecret("timed", b"s", not_before=100.0, not_after=200.0)
    headers = sign(b"s", b"{}")
    assert verify(headers, b"{}", [secret], now=100.0) == "timed"
    for now in (99.9, 200.0):
        with pytest.raises(SignatureError, match="mismatch"):
            verify(headers, b"{}", [secret], now=now)


def test_a_secret_does_not_print() -> None:
    assert "secret-value" not in repr(SigningSecret("label", b"secret-value"))


@given(secret=st.binary(min_size=1), other=st.binary(min_size=1), body=st.binary())
def test_only_the_key_and_the_bytes_that_were_signed_verify(
    secret: bytes, other: bytes, body: bytes
) -> None:
    signing = SigningSecret("s", secret)
    headers = sign(secret, body)
    assert verify(headers, body, [signing], now=NOW) == "s"
    with pytest.raises(SignatureError):
        verify(headers, body + b" ", [signing], now=NOW)
    same_key = hmac.digest(secret, b"", "sha256") == hmac.digest(other, b"", "sha256")
    if not same_key:  # HMAC pads keys with zeros, so different keys may be the same
        with pytest.raises(SignatureError):
            verify(headers, body, [SigningSecret("o", other)], now=NOW)


@given(secret=st.binary(min_size=1, max_size=200), body=st.binary())
def test_what_is_computed_is_hmac_for_keys_of_every_length(secret: bytes, body: bytes) -> None:
    found = verify(sign(secret, body), body, [SigningSecret("a", secret)], now=NOW)
    assert found == "a"  # `sign` uses the library's own HMAC


@pytest.mark.parametrize(
    ("windows", "left"),
    [
        ([], 0.0),
        ([(None, None)], math.inf),
        ([(None, 100.0)], 90.0),
        ([(None, 5.0)], 0.0),
        ([(20.0, None)], 0.0),
        ([(None, 100.0), (50.0, 200.0)], 190.0),
        ([(100.0, 200.0), (None, 100.0)], 190.0),
        ([(None, 100.0), (101.0, None)], 90.0),
        ([(0.0, 50.0), (0.0, None)], math.inf),
    ],
)
def test_how_long_there_is_a_valid_secret(
    windows: list[tuple[float | None, float | None]], left: float
) -> None:
    assert seconds_covered(windows, 10.0) == left
