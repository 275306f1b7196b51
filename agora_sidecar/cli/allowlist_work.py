"""What every allow-list command does: read the settings, stand on the list, carry a request out."""

import asyncio
import getpass
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from prometheus_client import CollectorRegistry

from agora_sidecar.cli.config import refuse
from agora_sidecar.cli.document import Document, read_document
from agora_sidecar.process import logs
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.settings import SettingsError
from scheduler.allowlist.mailbox import Answer, FolderLock, Mailbox, Request
from scheduler.allowlist.operating import Operating
from scheduler.allowlist.sync import Sync
from scheduler.allowlist.targets import TargetError
from scheduler.assembly import agora_client, allowlist_sync

_T = TypeVar("_T")

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
PATIENCE = 50.0
"""Seconds to wait for a running scheduler: a poll may take ten, a cloud's change more."""
LOOK = 0.1
"""Seconds between two looks for its answer."""


def document_of(config: str) -> Document:
    """The settings in force; ends the command where they are wrong."""
    try:
        return read_document(environ=os.environ, file=config).document
    except SettingsError as error:
        refuse(error)


def with_sync(document: Document, action: Callable[[Sync], Awaitable[_T]]) -> _T:
    """Do this with the list and the targets as they are on this machine."""
    try:
        with logs.aside():
            return asyncio.run(_run(document, action))
    except TargetError as error:
        fail(str(error))


def ask(
    document: Document, kind: str, *, argument: str = "", seconds: float | None = None
) -> Answer:
    """Have it done by the scheduler that runs, else do it here."""
    request = Request(kind, time.time(), argument, seconds, _actor())
    lock = FolderLock(folder_of(document))
    try:
        if not lock.take():
            return _asked(Mailbox(folder_of(document)), request)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; run it as the scheduler's user")
    try:
        return with_sync(document, lambda sync: _carried_out(sync, request))
    finally:
        lock.release()


def folder_of(document: Document) -> Path:
    """Where the list is kept."""
    return Path(document.data_dir) / "allowlist"


def print_json(value: Any) -> None:
    """For programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def fail(why: str, *, code: int = 1) -> NoReturn:
    """End the command with one line."""
    typer.echo(why, err=True)
    raise typer.Exit(code)


async def _run(document: Document, action: Callable[[Sync], Awaitable[_T]]) -> _T:
    clock = SystemClock()
    client = agora_client(document.agora, clock=clock)
    sync = allowlist_sync(
        document.allowlist,
        data_dir=document.data_dir,
        client=client,
        clock=clock,
        registry=CollectorRegistry(),
    )
    try:
        return await action(sync)
    finally:
        await client.close()


async def _carried_out(sync: Sync, request: Request) -> Answer:
    return await Operating(sync, clock=SystemClock()).carry_out(request)


def _asked(mailbox: Mailbox, request: Request) -> Answer:
    name = mailbox.post(request)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if answer := mailbox.answered(name):
            return answer
        time.sleep(LOOK)
    mailbox.withdraw(name)
    return Answer(False, f"the scheduler did not answer within {PATIENCE:.0f} s; see its log")


def _actor() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return str(os.getuid())
