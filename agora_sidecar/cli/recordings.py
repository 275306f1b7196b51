"""`agora-sidecar recordings`: what is known of each recording, from the ledger; stop, forget.

The commands work on the store that the scheduler works on; a stop is called by the scheduler.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from agora_sidecar.cli.config import ConfigOption, refuse
from agora_sidecar.cli.document import Document, read_document
from agora_sidecar.keys import Shards
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.settings import SettingsError
from agora_sidecar.store import StoreError, connect
from scheduler.assembly import timings_of
from scheduler.recordings.findings import describe
from scheduler.recordings.ledger import ConflictError, SessionUnreadableError
from scheduler.recordings.registry import Registry
from scheduler.recordings.session import Session
from scheduler.recordings.sharded_ledger import ShardedLedger

_T = TypeVar("_T")

app = typer.Typer(no_args_is_help=True, help="Look at recordings; stop or forget one.")

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
Sid = Annotated[str, typer.Argument(metavar="SID", help="The recording's sid.")]
LIMIT = 1000
"""Recordings in one list."""


@app.command("list")
def list_(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """List the recordings that are known, those that began last first.

    Example: agora-sidecar recordings list --config sidecar.toml
    """
    found = _with_registry(config, lambda registry: registry.all(limit=LIMIT))
    shown = [_shown(session) for session in found]
    if as_json:
        _print(shown)
        return
    for one in shown:
        typer.echo(f"{one['startedAt']}  {one['sid']}  {one['state']:<9}  {one['cname']}")


@app.command()
def show(sid: Sid, config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Print what is known of one recording and who told it.

    Example: agora-sidecar recordings show 38f8e3cfdc474cd56fc1ceba380d7e1a
    """
    session = _with_registry(config, lambda registry: registry.get(sid))
    shown = _shown(_known(session, sid))
    if as_json:
        _print(shown)
        return
    for name, value in shown.items():
        if name != "timeline" and value not in (None, "", []):
            typer.echo(f"{name}: {_plain(value)}")
    for note in shown["timeline"]:
        text = f"{note['what']} ({note['host']})" if "host" in note else note["what"]
        typer.echo(f"  {note['at']}  {note['kind']:<8}  {note.get('reading', '')}: {text}")


@app.command()
def stop(sid: Sid, config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Owe this recording a stop: the scheduler calls it until the recording is over.

    Example: agora-sidecar recordings stop 38f8e3cfdc474cd56fc1ceba380d7e1a
    """
    session = _with_registry(config, lambda registry: registry.want_stopped(sid))
    shown = _shown(_known(session, sid))
    if as_json:
        _print(shown)
        return
    told = "is over already" if session and session.closed_at else "a stop is owed"
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


def _with_registry(config: str, action: Callable[[Registry], Awaitable[_T]]) -> _T:
    try:
        document = read_document(environ=os.environ, file=config).document
    except SettingsError as error:
        refuse(error)
    try:
        with redirect_stdout(sys.stderr):  # log lines are no part of what is printed
            return asyncio.run(_run(document, action))
    except (StoreError, ConflictError, SessionUnreadableError) as error:
        _fail(str(error))


async def _run(document: Document, action: Callable[[Registry], Awaitable[_T]]) -> _T:
    settings = document.recordings
    client = connect(document.redis.url.get_secret_value())
    shards = Shards(document.redis.prefix, document.stream.shards)
    registry = Registry(
        ledger=ShardedLedger(client, shards, keep=settings.keep),
        timings=timings_of(settings),
        clock=SystemClock(),
        max_duration=settings.max_duration or None,
    )
    try:
        return await action(registry)
    finally:
        await client.aclose()


def _shown(session: Session) -> dict[str, Any]:
    return describe(session, now=SystemClock().now())


def _known(session: Session | None, sid: str) -> Session:
    if session is None:
        _fail(f"{sid}: no such recording is known")
    return session


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(1)
