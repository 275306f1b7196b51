"""Answers of the vendor's as lines for people. Pure."""

import json
from collections.abc import Iterator

from agora_sidecar.agora import calls
from agora_sidecar.agora.addresses import read_hosts
from agora_sidecar.agora.errors import AddressListError
from agora_sidecar.agora.exchange import Answer
from agora_sidecar.agora.recordings import STATUS_WORDS, File
from agora_sidecar.agora.replies import read_query, read_stop


def lines(call: str, answer: Answer) -> Iterator[str]:
    """What an answer says, in a few lines."""
    if call == calls.NCS_IP:
        yield from _addresses(answer)
        return
    body = answer.body
    for name in ("cname", "uid", "resourceId", "sid"):
        if body.get(name):
            yield f"{name:<12}{body[name]}"
    if call == calls.QUERY:
        reply = read_query(body, host=answer.host)
        word = STATUS_WORDS.get(reply.status, "unknown") if reply.status is not None else "unknown"
        yield f"{'status':<12}{reply.status} ({word})"
        yield from _files(reply.files)
    if call == calls.STOP:
        stopped = read_stop(body, host=answer.host)
        yield f"{'upload':<12}{stopped.uploading_status or 'not told yet'}"
        yield from _files(stopped.files)


def _files(files: tuple[File, ...]) -> Iterator[str]:
    for file in files:
        yield f"{'file':<12}{file.name}"


def _addresses(answer: Answer) -> Iterator[str]:
    try:
        yield from map(str, read_hosts(answer.raw))
    except AddressListError:
        yield json.dumps(answer.body)
