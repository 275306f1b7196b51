"""`agora-sidecar replay`: put entries on a stream again, on purpose and marked.

Exit codes: 0 done · 1 nothing was put, or the store failed half-way (it says how far) · 2 usage,
or there was nobody to ask.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal, NoReturn, Optional, TypeVar

import typer

from agora_sidecar.cli.config import ConfigOption
from agora_sidecar.cli.document import Document
from agora_sidecar.cli.tail import encoded, line, read_moment, settings, show, usage
from agora_sidecar.consumer.copies import REPLAY_OF, Copier, EventCopier, Put, QuarantineCopier
from agora_sidecar.consumer.history import LAST_NUMBER, NOTHING, Raw, last_id, order, pages
from agora_sidecar.keys import Keys, Shards
from agora_sidecar.process.serving import run
from agora_sidecar.store import Redis, StoreError, connect
from agora_sidecar.stream import Writer

_T = TypeVar("_T")

From = Literal["events", "quarantine"]

BATCH = 100
"""Entries put by one script."""
BATCH_BYTES = 1 << 20
"""Bytes of data from which a batch is put although it has fewer."""
PROGRESS = 2.0
"""Seconds between two lines of progress."""

Selection = tuple[tuple[str, str, str], ...]
"""Stream, first and last id of each stretch, fixed when it was counted: copies come behind it."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be put again, and where."""

    document: Document
    quarantine: bool
    recording: str = ""
    ids: tuple[str, ...] = ()
    first: str = "-"
    last: str = ""
    to: str = ""
    limit: int | None = None
    dry_run: bool = False
    as_json: bool = False

    @property
    def shards(self) -> Shards:
        """The shards of the configuration."""
        return Shards(self.document.redis.prefix, self.document.stream.shards)

    @property
    def sources(self) -> list[str]:
        """The streams that are looked through."""
        if self.quarantine:
            return [Keys(self.document.redis.prefix).quarantine]
        keys = [self.shards.of(self.recording)] if self.recording else self.shards.all
        return [one.events for one in keys]

    def takes(self, fields: dict[bytes, bytes]) -> bool:
        """Whether an entry is one of those; a copy is not copied again unless named by its id."""
        if self.ids:
            return True
        sid = self.recording.encode()
        if self.quarantine:
            return sid in fields.get(b"data", b"")
        return REPLAY_OF.encode() not in fields and (not sid or fields.get(b"subject") == sid)

    def copier(self, client: Redis) -> Copier:
        """What puts them."""
        if not self.quarantine:
            return EventCopier(client, self.shards, to=self.to)
        sources = self.document.effective_sources
        return QuarantineCopier(
            Writer(client, dedupe_window=self.document.stream.dedupe_window),
            self.shards,
            redundant={source.name for source in sources if source.redundant},
            to=self.to,
        )


def replay(
    config: ConfigOption = "",
    *,
    recording: Annotated[str, typer.Option(metavar="SID", help="All of this recording.")] = "",
    id_: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--id", metavar="STREAMID", help="This one; may be given again."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="T", help="From a duration ago, a date and time, a stream id.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="T", help="To then; otherwise to now.")] = "",
    from_: Annotated[From, typer.Option("--from", help="Where they stand.")] = "events",
    to: Annotated[
        str, typer.Option(metavar="KEY", help="Another stream, instead of their shard's events.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show them.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object an entry.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """Put entries on their stream again: every group is given a copy of each.

    A copy differs in `origin`, which is `replay`, and in `replayof`, the stream id of the original.
    The scheduler takes nothing from entries of origin `replay`: no recording changes.

    From the quarantine, what can be read by now becomes a proper entry, once within
    stream.dedupe_window.

    Example: agora-sidecar replay --recording 38f8e3cfdc474cd56fc1ceba380d7e1a --dry-run
    """
    ids = tuple(dict.fromkeys(id_ or ()))[:limit]
    job = Job(settings(config), from_ == "quarantine", recording=recording, ids=ids)
    job = replace(job, to=to, limit=limit, dry_run=dry_run, as_json=as_json)
    job = _checked(job, since, until)
    if not (yes or dry_run or sys.stdin.isatty()):
        usage("refused: there is no terminal to ask on; look with --dry-run, then say --yes")
    selection, total = _stored(job, lambda client, stop: _count(client, job, stop))
    if not total:
        _fail("nothing to replay: no such entry")
    if not (yes or dry_run):
        where = to or ", ".join(sorted({keys.events for keys in job.shards.all})[:3])
        typer.confirm(f"Put {total} entries again on {where}?", abort=True, err=True)
    _stored(job, lambda client, stop: _Replay(client, job, total).run(selection, stop))


def _checked(job: Job, since: str, until: str) -> Job:
    """The job with its bounds; ends with exit code 2 where the options make no sense."""
    if job.ids and (job.recording or since or until):
        usage("--id: names single entries; leave --recording, --since and --until away")
    if not (job.ids or job.recording or since):
        usage("say what to replay: --recording SID, --id STREAMID or --since T")
    prefix = job.document.redis.prefix
    events = {keys.events for keys in job.shards.all}
    if job.to.startswith((f"{{{prefix}}}", f"{{{prefix}:")) and job.to not in events:
        usage("--to: is one of the sidecar's own keys; name another stream")
    for one in job.ids:
        _bound("--id", one if "-" in one else "no id")
    last = _bound("--until", until)
    if last and "-" not in last:
        last = f"{last}-{LAST_NUMBER}"  # the whole millisecond
    return replace(job, first=_bound("--since", since) or "-", last=last)


def _bound(option: str, text: str) -> str:
    try:
        return read_moment(text, now=time.time()) if text else ""
    except ValueError as error:
        usage(f"{option}: {'must be stream ids such as 1-0' if option == '--id' else error}")


async def _count(client: Redis, job: Job, stop: asyncio.Event) -> tuple[Selection, int]:
    selection: list[tuple[str, str, str]] = []
    for key in job.sources:
        end = await last_id(client, key)
        if job.last and order(job.last) < order(end):
            end = job.last
        if end != NOTHING:
            selection += [(key, one, one) for one in job.ids] or [(key, job.first, end)]
    progress = _Progress("counted")
    total, found = 0, set()
    async for stream_id, _ in _chosen(client, job, selection):
        total += 1
        found.add(stream_id) if job.ids else None
        progress.tell(total)
        if stop.is_set():
            _fail("ended on request; nothing was put")
    if missing := [one for one in job.ids if one not in found]:
        _fail(f"nothing was put: no such entry: {', '.join(missing)}")
    return tuple(selection), total


async def _chosen(
    client: Redis, job: Job, selection: Selection | list[tuple[str, str, str]]
) -> AsyncIterator[Raw]:
    left = job.limit
    for key, first, last in selection:
        async for page in pages(client, key, first=first, last=last):
            for raw in page:
                if left == 0:
                    return
                if job.takes(raw[1]):
                    left = None if left is None else left - 1
                    yield raw


class _Replay:
    """Puts what was counted, in batches; or only shows it."""

    def __init__(self, client: Redis, job: Job, total: int) -> None:
        self._client = client
        self._job = job
        self._copier = job.copier(client)
        self._progress = _Progress(f"of {total} done")
        self._done: Counter[str] = Counter()

    async def run(self, selection: Selection, stop: asyncio.Event) -> None:
        batch: list[Raw] = []
        size = 0
        async for raw in _chosen(self._client, self._job, selection):
            batch.append(raw)
            size += len(raw[1].get(b"data", b""))
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                await self._batch(batch)
                batch, size = [], 0
                if stop.is_set():
                    _fail(f"ended on request: {self._summary()}")
        if batch:
            await self._batch(batch)
        typer.echo(self._summary(), err=self._job.as_json)
        if not (self._done["put"] or self._done["known"]):
            raise typer.Exit(1)

    async def _batch(self, batch: list[Raw]) -> None:
        try:
            results = (
                [self._copier.plan(raw) for raw in batch]
                if self._job.dry_run
                else await self._copier.put(batch)
            )
        except StoreError as error:
            span = f"from {batch[0][0]} to {batch[-1][0]}"
            _fail(f"{error}\n{self._summary()}; not known: the {len(batch)} {span}")
        for result in results:
            self._done[result.outcome] += 1
            self._show(result)
        self._progress.tell(self._done.total())

    def _show(self, result: Put) -> None:
        if self._job.as_json:
            told = "would put" if self._job.dry_run and result.outcome == "put" else result.outcome
            shown = {"original": result.original, "outcome": told, "stream": result.stream}
            shown |= {"id": result.entry.id, "type": result.entry.type, "why": result.why}
            show(encoded({name: value for name, value in shown.items() if value}))
        elif result.outcome == "unreadable":
            typer.echo(f"{result.original}: still unreadable: {result.why}", err=True)
        elif self._job.dry_run:
            show(f"{result.original}  {line(result.entry)}")

    def _summary(self) -> str:
        words = {
            "put": "would be put again" if self._job.dry_run else "put again",
            "known": "on the stream already",
            "check": "test notifications of the console",
            "unreadable": "still unreadable",
        }
        told = [f"{self._done[name]} {text}" for name, text in words.items() if self._done[name]]
        return ", ".join(told) or "0 put again"


class _Progress:
    """A line now and then, for work that takes long."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = time.monotonic() + PROGRESS

    def tell(self, count: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS
            typer.echo(f"{count} {self._what}", err=True)


def _stored(job: Job, work: Callable[[Redis, asyncio.Event], Awaitable[_T]]) -> _T:
    """What the work gives; a store that fails ends with exit code 1 and one line."""
    results: list[_T] = []

    async def main(stop: asyncio.Event) -> None:
        client = connect(job.document.redis.url.get_secret_value())
        try:
            results.append(await work(client, stop))
        finally:
            await client.aclose()

    try:
        run(main)
    except StoreError as error:
        _fail(str(error))
    return results[0]


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(1)
