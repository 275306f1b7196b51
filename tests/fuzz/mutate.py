"""Requests as nobody should send them: pure, from a seed.

`framed` keeps HTTP intact, so that many can follow each other on one connection and the code behind
the signature is reached; `broken` is wrong in its framing, and has a connection of its own.
"""

import json
import random
from copy import deepcopy

from agora_sidecar.agora.signatures import sign

SECRET = b"secret"
NOTICE = {
    "noticeId": "2000001428:4330:107",
    "productId": 3,
    "eventType": 42,
    "notifyMs": 1_700_000_000_000,
    "payload": {
        "cname": "room-1",
        "uid": "527841",
        "sid": "38f8e3cfdc474cd56fc1ceba380d7e1a",
        "sequence": 3,
        "sendts": 1_700_000_000_000,
        "serviceType": 0,
        "details": {"msgName": "recorder_slice_start", "startUtcMs": 1},
    },
}
ODD = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**63, 2**64, 10**400, "", " ", "x" * 5000, [], {}),
    *([1, "2", None], {"a": {"b": []}}, "\x00", "\ud800", "é", "💥", "-5", "3", "NaN", "' OR 1=1"),
)
METHODS = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "post", "BREW")
PATHS = ("/", "/ncs/", "/ncs/none", "/ncs?x=1", "/ncs%2Fdefault", "//ncs", "/ncs/../ncs", "*", "/é")


def body(chance: random.Random, number: int) -> bytes:
    """A body, most of them odd: the vendor's shape with values, keys or bytes changed."""
    notice = json.loads(json.dumps(NOTICE))
    notice["noticeId"] = f"fuzz-{number}"
    kind = chance.randrange(10)
    if kind == 0:
        return json.dumps(notice).encode()
    for _ in range(chance.randrange(1, 4)):
        place = chance.choice(
            [notice, notice["payload"]] if isinstance(notice.get("payload"), dict) else [notice]
        )
        key = chance.choice([*place, "extra", ""])
        if chance.random() < 0.25:
            place.pop(key, None)
        else:
            place[key] = deepcopy(chance.choice(ODD))
    text = json.dumps(notice, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if kind in {1, 2}:
        return flipped(chance, text)
    if kind == 3:
        return text[: chance.randrange(len(text) + 1)]
    if kind == 4:
        return chance.choice(
            [b"[" * 20_000, b'{"a":' * 10_000, b"\xef\xbb\xbf" + text, b"", b"null"]
        )
    if kind == 5:
        return text[:-1] + b"," + text[1:]  # every key twice
    return text


def flipped(chance: random.Random, data: bytes) -> bytes:
    """Some bytes are others."""
    found = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        if found:
            found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found)


def framed(chance: random.Random, number: int) -> bytes:
    """One whole request, HTTP intact."""
    content = body(chance, number)
    headers = dict(sign(SECRET, content))
    kind = chance.randrange(12)
    method, path = "POST", "/ncs"
    if kind == 0:
        method = chance.choice(METHODS[:-4])
    elif kind == 1:
        path = chance.choice(PATHS[:-2])
    elif kind == 2:
        headers["Agora-Signature-V2"] = chance.choice(
            ["", "zz" * 32, "ab" * 32, "a" * 63, "é" * 64]
        )
    elif kind == 3:
        headers["X-Forwarded-For"] = chance.choice(["1.2.3.4", "a, b", ", " * 300, "::1"])
    elif kind == 4:
        headers["Content-Encoding"] = chance.choice(["gzip", "identity", "br, gzip", ""])
    elif kind == 5:
        headers["Expect"] = chance.choice(["100-continue", "200-ok"])
    lines = [f"{method} {path} HTTP/1.1", "Host: a", *(f"{n}: {v}" for n, v in headers.items())]
    if kind == 6 and content:
        cut = chance.randrange(1, len(content) + 1)
        parts = [content[:cut], content[cut:]]
        chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(p), p) for p in parts if p) + b"0\r\n\r\n"
        return "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode() + chunks
    if method == "HEAD":
        content = b""
    lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + content


def broken(chance: random.Random, number: int) -> bytes:  # noqa: PLR0911 - one way each
    """One request whose framing cannot be trusted."""
    good = framed(chance, number)
    head, _, rest = good.partition(b"\r\n\r\n")
    kind = chance.randrange(9)
    if kind == 0:
        return flipped(chance, good)
    if kind == 1:
        return good[: chance.randrange(len(good) + 1)]
    if kind == 2:
        length = chance.choice([b"-1", b"99999999999", b"0x10", b"+5", b"5, 5", b" ", b"1e3"])
        return head.replace(b"Content-Length: ", b"Content-Length: " + length) + b"\r\n\r\n" + rest
    if kind == 3:
        return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + flipped(chance, rest[:50])
    if kind == 4:
        return (
            head
            + b"\r\nX: "
            + bytes([chance.randrange(256)]) * chance.choice([1, 9000, 70_000])
            + b"\r\n\r\n"
            + rest
        )
    if kind == 5:
        return good.replace(b"\r\n", chance.choice([b"\n", b"\r", b"\r\n ", b"\n\n"]))
    if kind == 6:
        return good.replace(
            b"HTTP/1.1", chance.choice([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"HTP/1.1"])
        )
    if kind == 7:
        return chance.choice(
            [
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"\x16\x03\x01\x02\x00",
                b"\x00" * 99,
                b"\r\n" * 50,
            ]
        )
    return chance.choice(METHODS).encode() + b" " + chance.choice(PATHS).encode() + good[9:]
