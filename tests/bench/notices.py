"""Signed, unique notifications as the bytes of whole HTTP requests, made before anything is timed."""

import json
import random
import time
from collections.abc import Iterator

from agora_sidecar.agora.signatures import sign

SECRET = "bench"


def notice_id(run: str, number: int) -> str:
    """As long as the vendor's (a UUID without hyphens); told again from run and number."""
    return f"{run}{number:0{32 - len(run)}x}"


def request(run: str, number: int, rng: random.Random) -> bytes:
    """One POST of one notification."""
    now = int(time.time() * 1000)
    envelope = {
        "noticeId": notice_id(run, number),
        "productId": 3,
        "eventType": 42,
        "notifyMs": now,
        "payload": {
            "cname": f"room-{number % 500}",
            "uid": "527841",
            "sid": f"{rng.getrandbits(128):032x}",
            "sequence": number % 20,
            "sendts": now - 30,
            "serviceType": 1,
            "details": {"msgName": "recorder_slice_start", "streamUid": "0"},
        },
    }
    body = json.dumps(envelope).encode()
    signed = sign(SECRET.encode(), body)
    headers = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    head = f"POST /ncs HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def requests(run: str, numbers: range) -> Iterator[bytes]:
    """The same each time but for the clock: `run` is the seed."""
    rng = random.Random(f"{run} {numbers.start}")
    return (request(run, number, rng) for number in numbers)
