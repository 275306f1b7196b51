"""`agora-sidecar recordings`: what is known of each recording, from the ledger; ask, stop, forget.

The commands work on the store that the scheduler works on; the vendor is called by the scheduler.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from agora_sidecar.cli.config import ConfigOption, refuse
from agora_sidecar.cli.document import Document, read_document
from agora_sidecar.cli.timelines import list_recordings, show_recording, watched_line
from agora_sidecar.keys import Shards
from agora_sidecar.process import logs
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.quantities import duration
from agora_sidecar.process.settings import SettingsError
from agora_sidecar.store import StoreError, connect
from scheduler.assembly import timings_of
from scheduler.recordings.decide import Stops
from scheduler.recordings.ledger import ConflictError, SessionUnreadableError
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import Session, State
from scheduler.recordings.sharded_ledger import ShardedLedger

_T = TypeVar("_T")

app = typer.Typer(
    no_args_is_help=True,
    help="Look at recordings; ask about, stop or forget one.",
    epilog="Example: agora-sidecar recordings list --config sidecar.toml",
)

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
Sid = Annotated[str, typer.Argument(metavar="SID", help="The recording's sid.")]
LIMIT = 1000
"""Recordings in one list."""
LOOK_AT = 100_000
"""Recordings that a filter looks at."""
POLL = 0.5
"""Seconds between looks while something is waited for."""


def _seconds(text: str) -> float:
    try:
        return 0.0 if text in {"0", "0s"} else duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}: write a duration such as 90s or 2h") from None


Wait = Annotated[
    str, typer.Option("--for", metavar="DURATION", help="Wait for so long; 0s: not at all.")
]
Longer = Annotated[
    float | None, typer.Option(metavar="DURATION", parser=_seconds, help="At least for so long.")
]


@app.command("list")
def list_(
    config: ConfigOption = "",
    *,
    state: Annotated[
        list[State] | None, typer.Option(help="In this state; several may be.")
    ] = None,
    channel: Annotated[str, typer.Option(help="Of this channel.")] = "",
    silent_for: Longer = None,
    older_than: Longer = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")] = LIMIT,
    as_json: JsonOption = False,
) -> None:
    """List the recordings that are known, those that began last first.

    Example: agora-sidecar recordings list --state recording --silent-for 5m
    """
    now = time.time()

    def wanted(one: Session) -> bool:
        return (
            (not state or one.state in state)
            and (not channel or one.cname == channel)
            and (silent_for is None or now - (one.heard_at or one.created_at) >= silent_for)
            and (older_than is None or now - one.started_at >= older_than)
        )

    async def work(registry: Registry) -> list[dict[str, Any]]:
        found = filter(wanted, await registry.all(limit=LOOK_AT))
        return [registry.describe(one) for one in islice(found, limit)]

    shown = _with_registry(config, work)
    if as_json:
        _print(shown)
        return
    list_recordings(Console(), shown)


@app.command()
def show(sid: Sid, config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Print what is known of one recording, what happened on one axis, and what comes next.

    Example: agora-sidecar recordings show 38f8e3cfdc474cd56fc1ceba380d7e1a
    """
    shown = _with_registry(config, lambda registry: _one(registry, sid))
    if as_json:
        _print(shown)
        return
    show_recording(Console(), shown)


@app.command()
def watch(
    sid: Sid, config: ConfigOption = "", *, wait: Wait = "0s", as_json: JsonOption = False
) -> None:
    """Follow one recording until it is over: each thing that happens, as it happens.

    Example: agora-sidecar recordings watch 38f8e3cfdc474cd56fc1ceba380d7e1a --for 10m
    """
    seconds = _seconds(wait)
    out = sys.stdout  # below, log lines are kept from it
    console = Console(file=out)

    def tell(note: dict[str, Any]) -> None:
        if as_json:
            typer.echo(json.dumps(note, ensure_ascii=False), file=out)
        else:
            watched_line(console, note)

    _with_registry(config, lambda registry: _watch(registry, sid, tell=tell, wait=seconds))


@app.command()
def reconcile(
    sid: Annotated[str, typer.Argument(metavar="[SID]", help="One alone; else all open.")] = "",
    config: ConfigOption = "",
    *,
    wait: Wait = "15s",
    as_json: JsonOption = False,
) -> None:
    """Let the scheduler ask the vendor now, and print what was answered.

    Example: agora-sidecar recordings reconcile 38f8e3cfdc474cd56fc1ceba380d7e1a
    """
    seconds = _seconds(wait)
    shown = _with_registry(config, lambda registry: _reconcile(registry, sid, wait=seconds))
    if as_json:
        _print(shown)
    else:
        for one in shown:
            typer.echo(f"{one['sid']}: {one['outcome']}")
    if sid and not shown[0]["asked"] and seconds:
        raise typer.Exit(1)


@app.command()
def stop(sid: Sid, config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Owe this recording a stop: the scheduler calls it until the recording is over.

    Example: agora-sidecar recordings stop 38f8e3cfdc474cd56fc1ceba380d7e1a
    """

    async def work(registry: Registry) -> dict[str, Any]:
        return registry.describe(_known(await registry.want_stopped(sid), sid))

    shown = _with_registry(config, work)
    if as_json:
        _print(shown)
        return
    told = "is over already" if shown["closedAt"] else "a stop is owed"
    typer.echo(f"{sid}: {told}")


@app.command()
def forget(sid: Sid, config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Drop what is known of one recording; the recording itself goes on.

    Example: agora-sidecar recordings forget 38f8e3cfdc474cd56fc1ceba380d7e1a
    """
    known = _with_registry(config, lambda registry: registry.forget(sid))
    if not known:
        _fail(f"{sid}: no such recording is known")
    if as_json:
        _print({"sid": sid, "forgotten": True})
        return
    typer.echo(f"{sid}: forgotten")


async def _one(registry: Registry, sid: str) -> dict[str, Any]:
    return registry.describe(_known(await registry.get(sid), sid))


async def _watch(
    registry: Registry, sid: str, *, tell: Callable[[dict[str, Any]], None], wait: float
) -> None:
    """Tell each note once; one that counts more of the same is told again."""
    told: list[dict[str, Any]] = []
    until = time.monotonic() + wait if wait else None
    while True:
        shown = await _one(registry, sid)
        for note in shown["timeline"]:
            if note not in told:
                tell(note)
        told = shown["timeline"]
        if "closed" in shown["findings"] or (until is not None and time.monotonic() >= until):
            return
        await asyncio.sleep(POLL)


async def _reconcile(registry: Registry, sid: str, *, wait: float) -> list[dict[str, Any]]:
    """Hints for one or for all open recordings, and what came of them."""
    sessions = [await registry.get(sid)] if sid else await registry.all(limit=LOOK_AT)
    before = [_known(session, sid) for session in sessions]
    wanted = {s.sid: s for s in before if s.state is not State.CLOSED and s.askable(time.time())}
    for one in wanted:
        await registry.hurry(one)
    until = time.monotonic() + wait
    answered: set[str] = set()
    while wanted.keys() - answered and time.monotonic() < until:
        await asyncio.sleep(POLL)
        for one in wanted.keys() - answered:
            now = await registry.get(one)
            if now is None or now.asked_at != wanted[one].asked_at or now.told:
                answered.add(one)
    shown = before if sid else wanted.values()
    return [await _outcome(registry, one, asked=one.sid in answered) for one in shown]


async def _outcome(registry: Registry, before: Session, *, asked: bool) -> dict[str, Any]:
    session = await registry.get(before.sid) or before
    if session.state is State.CLOSED:
        outcome = f"closed ({session.closed_reason})"
    elif not asked:
        why = session.unaskable(time.time())
        outcome = f"cannot be asked about: {why}" if why else "not asked yet: does a scheduler run?"
    else:
        last = next((n for n in reversed(session.timeline) if n.kind == "query"), None)
        outcome = f"{session.state}" + (f", {last.what}" if last else "")
    return {"sid": before.sid, "asked": asked, "state": session.state, "outcome": outcome}


def _with_registry(config: str, action: Callable[[Registry], Awaitable[_T]]) -> _T:
    try:
        document = read_document(environ=os.environ, file=config).document
    except SettingsError as error:
        refuse(error)
    try:
        with logs.aside():
            return asyncio.run(_run(document, action))
    except (StoreError, ConflictError, SessionUnreadableError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _run(document: Document, action: Callable[[Registry], Awaitable[_T]]) -> _T:
    settings = document.recordings
    client = connect(document.redis.url.get_secret_value())
    shards = Shards(document.redis.prefix, document.stream.shards)
    registry = Registry(
        ledger=ShardedLedger(client, shards, keep=settings.keep),
        timings=timings_of(settings),
        clock=SystemClock(),
        max_duration=settings.max_duration or None,
        stops=Stops(policy=settings.stop_policy == "owed"),
    )
    try:
        return await action(registry)
    finally:
        await client.aclose()


def _known(session: Session | None, sid: str) -> Session:
    if session is None:
        _fail(f"{sid}: no such recording is known")
    return session


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(1)
