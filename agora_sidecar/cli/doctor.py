"""`agora-sidecar doctor`: what is wrong, and what to do about it. Looks, and changes nothing.

Exit codes: 0 nothing is wrong · 2 settings are wrong · 3 there is a problem.
"""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from prometheus_client import CollectorRegistry

from agora_sidecar.agora.client import Client
from agora_sidecar.agora.errors import AddressListError
from agora_sidecar.cli import findings
from agora_sidecar.cli.allowlist_findings import of_enforcing, of_filter, of_orders
from agora_sidecar.cli.config import ConfigOption, refuse
from agora_sidecar.cli.document import Document, Process, read_document
from agora_sidecar.cli.findings import Finding
from agora_sidecar.keys import Shards
from agora_sidecar.process import logs
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.settings import Loaded, SettingsError
from agora_sidecar.store import Redis, StoreError, connect, durability, store_errors
from agora_sidecar.stream import abandoned
from receiver.spool.folder import damaged, files
from receiver.spool.journal import JournalError, look
from receiver.tls import Certificate, CertificateError
from scheduler.allowlist.report import Outcome
from scheduler.allowlist.source import Source
from scheduler.allowlist.targets import Examined, Remark, TargetError
from scheduler.assembly import agora_client, allowlist_sync, allowlist_targets, preflight
from scheduler.settings import NftablesTarget

VENDOR_TIMEOUT = 20.0
"""Seconds for the vendor's address list."""
TIMEOUT = 3.0
"""Seconds for each question to the store."""


def doctor(
    config: ConfigOption = "",
    *,
    process: Annotated[
        Optional[Process],  # noqa: UP045 - typer reads it
        typer.Option("--for", help="Look at what this process needs alone."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at Redis, clock, spool, secrets, certificate, account and allow-list; say what to do.

    Safe to run in production: it asks the vendor for its address list once, and changes nothing.
    Run it on the machine, and as the user, of the process in question: what another one's user
    cannot read or write is a finding. `--for` leaves out what only the other process needs.

    Example: agora-sidecar doctor --config sidecar.toml
    """
    try:
        loaded = read_document(
            environ=os.environ, file=config, processes=(process,) if process else ()
        )
    except SettingsError as error:
        refuse(error)
    with logs.aside():
        found = asyncio.run(_all(loaded, process))
    if as_json:
        typer.echo(json.dumps([finding.shown() for finding in found], indent=2, ensure_ascii=False))
    else:
        for finding in found:
            typer.echo(finding.line())
    if any(finding.kind == "problem" for finding in found):
        raise typer.Exit(3)


async def _all(loaded: Loaded[Document], process: Process | None) -> list[Finding]:
    document, now = loaded.document, time.time()
    found = [Finding("settings", "warning", text) for text in loaded.warnings]
    found += await _store(document, now)
    if process != "scheduler":
        found += _spool(document, now)
        found += findings.of_secrets(document.effective_sources, now=now)
        found += _certificate(document, now)
    if process != "receiver":
        found += await _vendor(document)
    return found


async def _vendor(document: Document) -> list[Finding]:
    agora, clock = document.agora, SystemClock()
    if not (agora.app_id and agora.customer_id and agora.customer_secret.get_secret_value()):
        cure = "Set agora.app_id, agora.customer_id and agora.customer_secret"
        return [Finding("account", "warning", "is not configured: no scheduler can run", cure)]
    client = agora_client(agora, clock=clock)
    try:
        async with asyncio.timeout(VENDOR_TIMEOUT):
            found = [await _addresses(document, client)]
        found += await _allowlist(document, client)
    except TimeoutError:
        cure = "See the way to the hosts of agora.base_urls"
        return [Finding("account", "problem", "no host answered in time", cure)]
    finally:
        await client.close()
    return found


async def _allowlist(document: Document, client: Client) -> list[Finding]:
    settings = document.allowlist
    sync = allowlist_sync(
        settings,
        data_dir=Path(document.data_dir),
        client=client,
        clock=SystemClock(),
        registry=CollectorRegistry(),
    )
    outcomes = await sync.look()
    snapshot = sync.snapshot()
    found = [*findings.of_targets(outcomes), *await _remarks(document, outcomes)]
    found += findings.of_list(snapshot, interval=settings.poll_interval)
    found += of_orders(snapshot)
    remarks = []
    with suppress(TargetError):  # said above: it cannot be read
        remarks = await preflight(settings)
    for target, remark in remarks:
        found.append(of_filter(target, text=remark.text, cure=remark.cure, harmful=remark.harmful))
    modes = {t.mode for t in settings.targets if isinstance(t, NftablesTarget) and not t.fills}
    harmful = tuple(remark.text for _, remark in remarks if remark.harmful)
    found += of_enforcing(sync.against_enforcing(harmful), modes=modes)
    return found


async def _remarks(document: Document, outcomes: Sequence[Outcome]) -> list[Finding]:
    found: list[Finding] = []
    said = {outcome.problem for outcome in outcomes}
    for target in allowlist_targets(document.allowlist):
        try:
            remarks = await target.examine() if isinstance(target, Examined) else ()
        except TargetError as error:
            cure = "See docs/targets.md for what it needs"
            remarks = [] if error.why in said else [Remark("problem", error.why, cure)]
        found += findings.of_remarks(target.name, remarks)
    return found


async def _addresses(document: Document, client: Client) -> Finding:
    settings = document.allowlist
    source = Source(client, paths=settings.ip_paths, use_all=settings.ip_paths_use == "all")
    try:
        answer = await source.ask()
    except AddressListError as error:
        cure = "See customer_id and customer_secret, and the way to the hosts of agora.base_urls"
        return Finding("account", "problem", f"the address list cannot be had: {error}", cure)
    return Finding("account", "ok", f"the vendor sends from {len(answer.values)} addresses now")


async def _store(document: Document, now: float) -> list[Finding]:
    client = connect(document.redis.url.get_secret_value(), timeout=TIMEOUT)
    shards = Shards(document.redis.prefix, document.stream.shards)
    try:
        found = await durability(client)
        return [
            *findings.of_store(found, asked=document.receiver.durability),
            *findings.of_abandoned(await abandoned(client, shards)),
            *findings.of_clock(await _clock(client), now=now),
        ]
    except StoreError as error:
        cure = "start it, or correct redis.url; until then events go to the spool"
        return [Finding("redis", "problem", str(error), cure)]
    finally:
        await client.aclose()


async def _clock(client: Redis) -> float | None:
    ask: Any = client.execute_command
    try:
        with store_errors():
            seconds, micros = await ask("TIME")
    except (StoreError, TypeError, ValueError):  # not allowed, or one answer for each node
        return None
    return int(seconds) + int(micros) / 1_000_000


def _spool(document: Document, now: float) -> Iterator[Finding]:
    folder = Path(document.data_dir) / "spool"
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        cure = "give data_dir to the user that runs the receiver, or name another one"
        yield Finding("spool", "problem", f"{existing} cannot be written to", cure)
        return
    yield from findings.of_disk(
        shutil.disk_usage(existing).free, limit=document.receiver.spool_limit, folder=str(folder)
    )
    for file in files(folder):
        try:
            facts = look(file.path)
        except JournalError as error:
            cure = "the next start of a receiver saves what can be read, and sets it aside"
            yield Finding("spool", "problem", f"{file.path}: {error}", cure)
            continue
        yield from findings.of_waiting(facts, held=bool(file.holder), name=file.path.name, now=now)
    for path in damaged(folder):
        cure = "what could be read was saved; look at it with sqlite3, then delete it"
        yield Finding("spool", "warning", f"{path} was damaged and set aside", cure)


def _certificate(document: Document, now: float) -> Iterator[Finding]:
    receiver = document.receiver
    if not receiver.tls_certificate:
        return
    try:
        certificate = Certificate(Path(receiver.tls_certificate), Path(receiver.tls_key))
    except CertificateError as error:
        yield Finding("tls", "problem", str(error), "correct the files; a start would fail")
        return
    yield findings.of_certificate(certificate.seconds_left(now))
