"""`agora-sidecar spool`: what waits on this machine's disk for the store; give it back by hand."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from prometheus_client import CollectorRegistry

from agora_sidecar.cli.config import ConfigOption, refuse
from agora_sidecar.cli.document import Document, read_document
from agora_sidecar.keys import Shards
from agora_sidecar.process import logs
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.settings import SettingsError
from agora_sidecar.store import Durability, StoreError, connect, durability
from agora_sidecar.stream import Writer, at_home
from receiver.metrics import ReceiverMetrics
from receiver.spool.adoption import Adoption
from receiver.spool.copies import copies_for
from receiver.spool.drain import Drain
from receiver.spool.folder import Found, damaged, files
from receiver.spool.journal import JournalError, look
from receiver.spool.spool import Spool

app = typer.Typer(
    no_args_is_help=True,
    help="Look at the local spool, or give it back by hand.",
    epilog="Example: agora-sidecar spool status --config sidecar.toml",
)

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
LONGEST_WAIT = 120.0
"""Seconds that are waited for what Redis took to be safe there."""
PROGRESS = 1.0
"""Seconds between lines of progress."""


@app.command()
def status(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Print each file of the spool: who holds it, what waits in it, and since when.

    Example: agora-sidecar spool status --config sidecar.toml
    """
    folder = _folder(_document(config))
    found = [_shown(file) for file in _files(folder)]
    aside = [str(path) for path in damaged(folder)]
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "files": found, "damaged": aside}, indent=2))
        return
    typer.echo(f"{folder}: {len(found)} file(s)")
    for file in found:
        typer.echo("  " + _line(file))
    for path in aside:
        typer.echo(f"  damaged, set aside: {path}")


@app.command()
def drain(
    config: ConfigOption = "",
    *,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to go on at most; 0: no limit.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Give back what is in files that no process holds, as a starting receiver would.

    A file that a running receiver holds is left to it: it is given back as soon as the store takes
    events. Nothing is doubled, however often this is done. A file goes when what it held is safe in
    Redis: some seconds later where Redis forces nothing to disk, or may fail over.

    Example: agora-sidecar spool drain --config sidecar.toml
    """
    document = _document(config)
    folder = _folder(document)
    held = [file for file in _files(folder) if file.holder]
    for file in held:
        typer.echo(f"{file.path.name}: left to process {file.holder}, which holds it", err=True)
    try:
        with logs.aside():
            given = asyncio.run(_drain(document, folder, wait or None))
    except (StoreError, JournalError) as error:
        _fail(str(error))
    except TimeoutError:
        _fail(f"not everything was given back within {wait:g} s; the rest is where it was")
    if as_json:
        typer.echo(json.dumps(given | {"held": [file.path.name for file in held]}))
        return
    typer.echo(
        f"{given['files']} file(s) given back: {given['stored']} new on the stream, ", nl=False
    )
    typer.echo(f"{given['duplicates']} were there already")


async def _drain(document: Document, folder: Path, wait: float | None) -> dict[str, int]:
    clock, metrics = SystemClock(), ReceiverMetrics(CollectorRegistry())
    client = connect(document.redis.url.get_secret_value())
    window = document.stream.dedupe_window
    writer = Writer(client, dedupe_window=window)
    shards = Shards(document.redis.prefix, document.stream.shards)
    adoption = Adoption(
        folder,
        clock=clock,
        open_spool=lambda path: Spool(
            lambda: path, limit=document.receiver.spool_limit, metrics=metrics
        ),
        drain=lambda spool: Drain(
            spool,
            writer,
            keep=lambda: keep,
            window=window,
            clock=clock,
            metrics=metrics,
            home=lambda item: at_home(item, shards),
        ),
    )
    try:
        keep = _keep(await durability(client), document)  # an absent store is said at once
        async with asyncio.timeout(wait):
            progress = asyncio.create_task(_tell(metrics))
            try:
                count = await adoption.once()
            finally:
                progress.cancel()
        stored, duplicates = _counts(metrics)
        return {"files": count, "stored": stored, "duplicates": duplicates}
    finally:
        await client.aclose()


def _keep(found: Durability, document: Document) -> float:
    """Seconds that a file outlives what was given back, as a running receiver would have it."""
    window = document.stream.dedupe_window
    keep = copies_for(found, shadow=document.receiver.shadow, window=window).keep
    if keep <= LONGEST_WAIT:
        return keep
    typer.echo(f"{found.why}; what is given back is then nowhere else", err=True)
    return 0.0


async def _tell(metrics: ReceiverMetrics) -> None:
    while True:
        await asyncio.sleep(PROGRESS)
        typer.echo(f"{sum(_counts(metrics))} events given back", err=True)


def _counts(metrics: ReceiverMetrics) -> tuple[int, int]:
    found = {
        sample.labels["outcome"]: int(sample.value)
        for metric in metrics.drained.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    return found.get("stored", 0), found.get("duplicate", 0)


def _document(config: str) -> Document:
    try:
        return read_document(environ=os.environ, file=config).document
    except SettingsError as error:
        refuse(error)


def _folder(document: Document) -> Path:
    return Path(document.data_dir) / "spool"


def _files(folder: Path) -> list[Found]:
    try:
        return files(folder)
    except JournalError as error:
        _fail(str(error))


def _shown(file: Found) -> dict[str, Any]:
    shown: dict[str, Any] = {"file": file.path.name, "holder": file.holder or None}
    try:
        facts = look(file.path)
    except JournalError as error:
        return shown | {"problem": str(error)}
    oldest = time.time() - facts.oldest_ms / 1000 if facts.oldest_ms else None
    return shown | {
        "waiting": facts.waiting,
        "copies": facts.copies,
        "oldestSeconds": None if oldest is None else round(oldest, 1),
        "bytes": facts.bytes,
    }


def _line(file: dict[str, Any]) -> str:
    holder = f"held by process {file['holder']}" if file["holder"] else "held by nobody"
    if "problem" in file:
        return f"{file['file']}  {holder}  cannot be read: {file['problem']}"
    age = f", the oldest for {file['oldestSeconds']:g} s" if file["waiting"] else ""
    return (
        f"{file['file']}  {holder}  {file['waiting']} waiting{age}, {file['copies']} copies, "
        f"{file['bytes']} bytes"
    )


def _fail(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(1)
