"""`agora-sidecar tail`: follow the stream, readable; no group, nothing is changed.

Exit codes: 0 ended on SIGINT, SIGTERM, a closed pipe or --limit · 1 the store refuses · 2 usage.
"""

import asyncio
import os
import re
import select
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, NoReturn, TypeVar

import msgspec
import typer

from agora_sidecar.cli.config import ConfigOption, refuse
from agora_sidecar.cli.document import Document, read_document
from agora_sidecar.consumer.cloudevent import to_cloudevent
from agora_sidecar.consumer.history import Feed, before, last_id, order
from agora_sidecar.consumer.outage import Outage
from agora_sidecar.entry import Entry, read_entry
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.quantities import duration, instant
from agora_sidecar.process.serving import run
from agora_sidecar.process.settings import SettingsError
from agora_sidecar.store import Redis, StoreError, connect

_T = TypeVar("_T")

POLL = 0.25
"""Seconds between looks at streams on which nothing is new."""
HEAL_EVERY = 8
"""Looks in vain after which it is asked whether a stream began anew."""
_DURATION = re.compile(r"[0-9.]+(ms|s|m|h|d)")
_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show; empty: everything."""

    recording: str = ""
    channel: str = ""
    type: str = ""
    since: str = ""
    follow: bool = True
    as_json: bool = False
    limit: int | None = None

    def has(self, entry: Entry) -> bool:
        """Whether this entry is to be shown."""
        return (
            (not self.recording or entry.subject == self.recording)
            and (not self.channel or entry.cname == self.channel)
            and self.type in entry.type
        )


def tail(
    config: ConfigOption = "",
    *,
    recording: Annotated[str, typer.Option(metavar="SID", help="Only of this recording.")] = "",
    channel: Annotated[str, typer.Option(metavar="NAME", help="Only of this channel.")] = "",
    type_: Annotated[
        str, typer.Option("--type", metavar="SUBSTRING", help="Only types that contain this.")
    ] = "",
    since: Annotated[
        str,
        typer.Option(help="Begin 10m ago, at a stream id or a date and time; 0: at the oldest."),
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for what comes; or end.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
) -> None:
    """Follow the stream, one line an entry; from now on, or all with --no-follow.

    Reads without a group: no consumer misses anything because of it.

    Example: agora-sidecar tail --since 10m --type recording.closed
    """
    document = settings(config)
    try:
        start = read_moment(since, now=time.time()) if since else "" if follow else "0"
    except ValueError as error:
        usage(f"--since: {error}")
    wanted = Wanted(recording, channel, type_, start, follow, as_json, limit)
    try:
        run(lambda stop: _until(stop, document, wanted))
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except BrokenPipeError:
        # what is still buffered would fail again, with a traceback, when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def settings(config: str) -> Document:
    """The configuration; ends with exit code 2 where it is wrong."""
    try:
        return read_document(environ=os.environ, file=config).document
    except SettingsError as error:
        refuse(error)


def usage(why: str) -> NoReturn:
    """Say in one line what is wrong with the command, and end with exit code 2."""
    typer.echo(why, err=True)
    raise typer.Exit(2)


def read_moment(text: str, *, now: float) -> str:
    """The stream id, whole or its milliseconds alone, that a duration ago, an id or a date means.

    Raises:
        ValueError: it is none of these.
    """
    if _ID.fullmatch(text):
        order(text)
        return text
    if _DURATION.fullmatch(text):
        return str(max(0, int((now - duration(text)) * 1000)))
    try:
        return str(int(instant(text) * 1000))
    except ValueError:
        raise ValueError(
            "must be a duration such as 10m, a stream id such as 1795410302032-0, 0 for the oldest,"
            " or a date and time with its offset such as 2026-11-01T00:00:00Z"
        ) from None


def line(entry: Entry) -> str:
    """One entry for a person, with colours; what is not there is a dash."""
    cells = (
        typer.style(_plain(entry.time), dim=True),
        typer.style(f"{_plain(entry.type.removeprefix('io.agora.')):<40}", fg=_colour(entry)),
        _plain(entry.cname),
        _plain(entry.subject if len(entry.subject) <= 12 else entry.subject[:8] + "…"),
        _plain(entry.uid),
        _plain(entry.sequence),
        _plain(entry.origin),
    )
    return "  ".join(cells)


def show(text: str) -> None:
    """One line on standard output; its colours only on a terminal.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    typer.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def encoded(value: object) -> str:
    """One line of JSON."""
    return msgspec.json.encode(value).decode()


def _plain(text: str) -> str:
    """Channels and types are others' words: nothing in them may steer a terminal."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown or "-"


def _colour(entry: Entry) -> str | None:
    if entry.type.startswith("io.agora.sidecar."):
        return "cyan"
    return "red" if "error" in entry.type or "warning" in entry.type else None


async def _until(stop: asyncio.Event, document: Document, wanted: Wanted) -> None:
    client = connect(document.redis.url.get_secret_value())
    shards = Shards(document.redis.prefix, document.stream.shards)
    keys = [shards.of(wanted.recording)] if wanted.recording else shards.all
    showing = asyncio.create_task(_show(client, keys, wanted))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((showing, stopped), return_when=asyncio.FIRST_COMPLETED)
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing
    finally:
        stopped.cancel()
        await client.aclose()


async def _show(client: Redis, keys: Iterable[Keys], wanted: Wanted) -> None:
    outage = Outage(SystemClock(), away=_away, back=_back)
    through = outage.through if wanted.follow else _once
    feed = await through(lambda: _begin(client, keys, wanted.since))
    left = wanted.limit
    idle = 0
    while True:
        found = await through(feed.read)
        for stream_id, fields in found:
            entry = read_entry(stream_id, fields)
            if not wanted.has(entry):
                continue
            show(_json(entry) if wanted.as_json else line(entry))
            left = None if left is None else left - 1
            if left == 0:
                return
        if found:
            continue
        if not wanted.follow:
            return
        _see_that_somebody_reads()
        await asyncio.sleep(POLL)
        idle += 1
        if idle % HEAL_EVERY == 0:
            await through(feed.heal)


async def _once(action: Callable[[], Awaitable[_T]]) -> _T:
    return await action()


async def _begin(client: Redis, keys: Iterable[Keys], since: str) -> Feed:
    starts = {
        one.events: before(since) if since else await last_id(client, one.events) for one in keys
    }
    return Feed(client, starts)


def _json(entry: Entry) -> str:
    return encoded({"streamId": entry.stream_id, **to_cloudevent(entry)})


def _see_that_somebody_reads() -> None:
    """A pipe that closed tells only who writes to it; nothing may come for hours."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # no file, as in tests
        return
    poll = select.poll()
    poll.register(output, 0)
    if any(flags & select.POLLERR for _, flags in poll.poll(0)):
        raise BrokenPipeError


def _away(error: StoreError) -> None:
    typer.echo(f"the store is away, waiting for it: {error}", err=True)


def _back(seconds: float) -> None:
    typer.echo(f"the store is back after {seconds:.0f} s", err=True)
