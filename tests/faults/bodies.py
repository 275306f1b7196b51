"""Signed bodies as the vendor sends them, written differently each time (pure).

A body that was decoded and encoded again somewhere would not be the same bytes: spaces, escapes,
repeated members, numbers and sizes vary.
"""

import hashlib
import hmac
import json
from random import Random

SECRET = "faults"
HEADER = "Agora-Signature-V2"
STARTED_MS = 1_790_000_000_000
WORDS = ("room", "комната", "部屋", "a/b", "\\u0000", "🎥", 'quo"te', "tab\there")


def body(notice_id: str, *, sid: str, number: int, notify_ms: int) -> bytes:
    """One attempt of a notice; those of one notice differ in `notifyMs` alone."""
    rng = Random(notice_id)
    payload = {
        "cname": f"{rng.choice(WORDS)}-{sid[:4]}",
        "uid": "527841",
        "sid": sid,
        "sequence": number,
        "sendts": STARTED_MS + number * 250,
        "serviceType": rng.randrange(3),
        "details": {
            "msgName": "recorder_slice_start",
            "ratio": rng.choice((1.0, 1e20, 0.1, -0.0)),
            "files": [rng.choice(WORDS) * rng.randrange(9) for _ in range(_files(rng))],
        },
    }
    envelope = {
        "noticeId": notice_id,
        "productId": 3,
        "eventType": rng.choice((31, 40, 42, 45, 1000)),
        "notifyMs": notify_ms,
        "payload": payload,
    }
    text = json.dumps(
        envelope,
        ensure_ascii=rng.random() < 0.5,
        indent=rng.choice((None, None, 1)),
        separators=rng.choice(((",", ":"), (", ", ": "), (" ,", " : "))),
    )
    return text.encode() + b"\n" * rng.randrange(2)


def signed(data: bytes, *, secret: str = SECRET) -> dict[str, str]:
    """The header that goes with a body."""
    return {HEADER: hmac.digest(secret.encode(), data, hashlib.sha256).hex()}


def _files(rng: Random) -> int:
    # one in twenty is some tens of KiB: more than a segment, more than a socket takes at once
    return rng.randrange(400, 2000) if rng.random() < 0.05 else rng.randrange(8)
