"""Request bodies read as the vendor reads them: types, what must be there, ranges (pure).

Source: the Cloud Recording RESTful API reference, acquire, start and stop. Storage and layout are
taken as they come: the vendor checks them after it has answered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from agora_sidecar.emulator.answers import bad_parameter

MAX_CNAME_BYTES = 1024
LARGEST_UID = 2**32 - 1
DEFAULT_MAX_IDLE = 30
"""Seconds without a publisher after which the vendor ends a recording."""
PLAIN_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)

HLS = ("hls",)
HLS_AND_MP4 = ("hls", "mp4")


@dataclass(frozen=True, slots=True)
class Order:
    """What every body has in common."""

    cname: str
    uid: str
    client_request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a start asks for, as far as it changes what the emulator does.

    `max_idle` in seconds; `prefix` ends in a slash unless it is empty.
    """

    max_idle: float
    mp4: bool
    prefix: str


def read_order(body: bytes) -> Order:
    """Channel, uid and `clientRequest` of any body.

    Raises:
        Refusal: 400 with code 2.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_parameter("body is not valid JSON") from None
    if not isinstance(value, dict):
        raise bad_parameter("body must be a JSON object")
    cname, uid = value.get("cname"), value.get("uid")
    if not isinstance(cname, str) or not 0 < len(cname.encode()) <= MAX_CNAME_BYTES:
        raise bad_parameter("cname must be a String of 1 to 1024 bytes")
    if not isinstance(uid, str) or not _is_uid(uid):
        raise bad_parameter("uid must be a String holding an integer from 1 to 4294967295")
    return Order(cname, uid, _object(value, "clientRequest"))


def check_acquire(client_request: Mapping[str, Any]) -> None:
    """The rules of `acquire`; a wrong `startParameter` passes, as it does at the vendor.

    Raises:
        Refusal: 400 with code 2.
    """
    hours = client_request.get("resourceExpiredHour", 72)
    if not _is_integer(hours) or not 1 <= hours <= 720:
        raise bad_parameter("Acquire: invalid resourceExpiredHour value!")
    scene = client_request.get("scene", 0)
    if not _is_integer(scene) or scene not in {0, 1, 2}:
        raise bad_parameter("scene must be 0, 1 or 2")
    if scene != 0:
        raise bad_parameter("this emulator does composite recordings only: scene must be 0")


def read_wishes(client_request: Mapping[str, Any]) -> Wishes:
    """The rules of `start` for a composite recording.

    Raises:
        Refusal: 400 with code 2.
    """
    storage = _object(client_request, "storageConfig")
    recording = _object(client_request, "recordingConfig", {})
    files = _object(client_request, "recordingFileConfig", {})
    max_idle = recording.get("maxIdleTime", DEFAULT_MAX_IDLE)
    if not _is_integer(max_idle) or not 5 <= max_idle <= 2_592_000:
        raise bad_parameter("recordingConfig.maxIdleTime must be a Number from 5 to 2592000")
    types = files.get("avFileType", list(HLS))
    if types not in (list(HLS), list(HLS_AND_MP4)):
        raise bad_parameter('recordingFileConfig.avFileType must be ["hls"] or ["hls","mp4"]')
    return Wishes(max_idle=max_idle, mp4="mp4" in types, prefix=_prefix(storage))


def read_async_stop(client_request: Mapping[str, Any]) -> bool:
    """`async_stop` of a stop.

    Raises:
        Refusal: 400 with code 2.
    """
    wish = client_request.get("async_stop", False)
    if not isinstance(wish, bool):
        raise bad_parameter("async_stop must be a Boolean")
    return wish


def _object(
    value: Mapping[str, Any], name: str, default: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    found = value.get(name, default)
    if not isinstance(found, Mapping):
        raise bad_parameter(f"{name} must be an Object")
    return found


def _prefix(storage: Mapping[str, Any]) -> str:
    parts = storage.get("fileNamePrefix", [])
    if not isinstance(parts, list) or not all(_is_plain(part) for part in parts):
        raise bad_parameter("storageConfig.fileNamePrefix must be an Array of letters and digits")
    prefix = "".join(f"{part}/" for part in parts)
    if len(prefix) > 128:
        raise bad_parameter("storageConfig.fileNamePrefix must not exceed 128 characters")
    return prefix


def _is_plain(part: object) -> bool:
    return isinstance(part, str) and part.isascii() and part.isalnum()


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_uid(text: str) -> bool:
    return PLAIN_NUMBER.fullmatch(text) is not None and int(text) <= LARGEST_UID
