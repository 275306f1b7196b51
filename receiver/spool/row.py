"""One event as a row of the spool's file, and back.

The checksum tells a row that the disk has altered from the one that was written.
"""

from typing import Any
from zlib import crc32

import msgspec

from agora_sidecar.stream import Append

INSERT = """
INSERT INTO notices (mark, stream, marks, fields, data, received_ms, taken_ms, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (mark) DO NOTHING
"""
WAITING = """
SELECT id, stream, marks, fields, data, received_ms, checksum FROM notices
WHERE taken_ms IS NULL AND id > ? ORDER BY id LIMIT ?
"""
ONE = """
SELECT id, stream, marks, fields, data, received_ms, checksum FROM notices WHERE id = ?
"""


class Row(msgspec.Struct, frozen=True):
    """One row that is waiting; `item` is none where the disk has altered it."""

    id: int
    received_ms: int
    item: Append | None


def as_row(item: Append, received_ms: int, taken_ms: int | None) -> tuple[object, ...]:
    """What `INSERT` takes; times in Unix milliseconds."""
    marks, fields = msgspec.json.encode(item.marks), msgspec.json.encode(item.fields)
    stream = item.stream.encode()
    return (
        *(item.marks[0], item.stream, marks.decode(), fields.decode(), item.data),
        *(received_ms, taken_ms, _checksum(stream, marks, fields, item.data)),
    )


def read_row(row: tuple[Any, ...]) -> Row:
    """What `WAITING` or `ONE` found, its texts as bytes."""
    number, stream, marks, fields, data, received_ms, checksum = row
    try:
        if _checksum(stream, marks, fields, data) != checksum:
            return Row(number, 0, None)
        item = Append(
            stream.decode(),
            tuple(msgspec.json.decode(marks, type=list[str])),
            msgspec.json.decode(fields, type=list[str]),
            data,
        )
        return Row(number, int(received_ms), item)
    except (ValueError, TypeError, AttributeError):  # the disk altered even the types
        return Row(number, 0, None)


def _checksum(stream: bytes, marks: bytes, fields: bytes, data: bytes) -> int:
    return crc32(b"\0".join((stream, marks, fields, data)))
