"""`agora-sidecar allowlist`: who is admitted and why, what each target lacks; apply, uninstall.

The commands read the list that the scheduler keeps in `data_dir` and the targets themselves; none
asks the vendor. Run them on the scheduler's machine, as its user. Exit codes: 0 done · 1 failed, or
not as it should be (`verify`) · 2 usage, settings, or there is something to do (`plan`).
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from prometheus_client import CollectorRegistry

from agora_sidecar.cli.config import ConfigOption, refuse
from agora_sidecar.cli.document import Document, read_document
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.settings import SettingsError
from scheduler.allowlist.addresses import Address
from scheduler.allowlist.report import Outcome
from scheduler.allowlist.sync import Sync
from scheduler.allowlist.targets import TargetError
from scheduler.assembly import agora_client, allowlist_sync, audit_of

_T = TypeVar("_T")

app = typer.Typer(no_args_is_help=True, help="See and steer the allow-list.")

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
EVERY_RECORD = sys.maxsize
"""More records than a file holds."""


@app.command()
def status(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Print the list, its age, and how each target stands.

    Example: agora-sidecar allowlist status --config sidecar.toml
    """
    shown = _snapshot(_document(config))
    if as_json:
        _print(shown)
        return
    age = shown["ageSeconds"]
    typer.echo(f"revision {shown['revision']}, " + _aged(age))
    for item in shown["addresses"]:
        left = item["secondsLeft"]
        rest = "" if left is None else f"  {left:.0f} s left"
        typer.echo(f"  {item['address']:<39}  {item['state']}{rest}")
    for name, address in shown["alsoAllow"].items():
        typer.echo(f"  {address:<39}  always ({name})")
    for target in shown["targets"]:
        typer.echo(f"{target['name']}: {target['problem'] or 'in sync'}")


@app.command()
def plan(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Print what each target lacks; change nothing. Exit code 2 if there is something to do.

    Example: agora-sidecar allowlist plan --config sidecar.toml
    """
    outcomes = _outcomes(_document(config))
    _show(outcomes, as_json=as_json)
    if any(outcome.plan is None for outcome in outcomes):
        raise typer.Exit(1)
    if any(outcome.plan and not outcome.plan.empty for outcome in outcomes):
        raise typer.Exit(2)


@app.command()
def verify(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Read every target and compare; exit code 1 unless all are as they should be.

    Example: agora-sidecar allowlist verify --config sidecar.toml
    """
    outcomes = _outcomes(_document(config))
    _show(outcomes, as_json=as_json)
    if not all(outcome.plan and outcome.plan.empty for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def apply(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Bring every target in line with the last known good list now, and read it back.

    Example: agora-sidecar allowlist apply --config sidecar.toml
    """

    async def work(sync: Sync) -> dict[str, Any]:
        await sync.apply_last_known_good(cause="manual")
        return sync.snapshot()

    targets = _with_sync(_document(config), work)["targets"]
    if as_json:
        _print(targets)
    else:
        for target in targets:
            typer.echo(f"{target['name']}: {target['problem'] or 'in sync'}")
    if not all(target["inSync"] for target in targets):
        raise typer.Exit(1)


@app.command()
def history(
    config: ConfigOption = "",
    *,
    last: Annotated[int, typer.Option("--last", min=1, help="How many records.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Print the last polls and changes from the record, oldest first.

    Example: agora-sidecar allowlist history --last 50
    """
    records = audit_of(_document(config).data_dir).read(last=last)
    if as_json:
        _print(records)
        return
    for record in records:
        typer.echo(_line(record))


@app.command()
def explain(
    address: Annotated[str, typer.Argument(metavar="IP", help="One IPv4 or IPv6 address.")],
    config: ConfigOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """Print why an address is admitted or not, since when, and by which targets.

    Example: agora-sidecar allowlist explain 101.36.1.1
    """
    try:
        wanted = ip_address(address)
    except ValueError:
        _fail(f"{address}: not one IPv4 or IPv6 address", code=2)
    document = _document(config)
    shown = _explained(document, wanted)
    if as_json:
        _print(shown)
        return
    for name, value in shown.items():
        if name != "history" and value not in (None, []):
            typer.echo(f"{name}: {' '.join(value) if isinstance(value, list) else value}")
    for record in shown["history"]:
        typer.echo(f"  {_line(record)}")


@app.command()
def uninstall(config: ConfigOption = "") -> None:
    """Take away what is ours from every target. What the table restricted is open then.

    Stop the scheduler first, it would put everything back.

    Example: agora-sidecar allowlist uninstall --config sidecar.toml
    """
    _with_sync(_document(config), lambda sync: sync.uninstall())
    typer.echo("uninstalled")


def _document(config: str) -> Document:
    try:
        return read_document(environ=os.environ, file=config).document
    except SettingsError as error:
        refuse(error)


def _with_sync(document: Document, action: Callable[[Sync], Awaitable[_T]]) -> _T:
    try:
        with redirect_stdout(sys.stderr):  # log lines are no part of what is printed
            return asyncio.run(_run(document, action))
    except TargetError as error:
        _fail(str(error))


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


def _snapshot(document: Document) -> dict[str, Any]:
    async def work(sync: Sync) -> dict[str, Any]:
        outcomes = await sync.plans()
        return sync.snapshot() | {"targets": [_standing(outcome) for outcome in outcomes]}

    return _with_sync(document, work)


def _outcomes(document: Document) -> list[Outcome]:
    return _with_sync(document, lambda sync: sync.plans())


def _standing(outcome: Outcome) -> dict[str, Any]:
    problem = outcome.problem
    if outcome.plan is not None and not outcome.plan.empty:
        problem = "not in sync; see `allowlist plan`"
    return {"name": outcome.target, "inSync": not problem, "problem": problem}


def _show(outcomes: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        _print([_as_json(outcome) for outcome in outcomes])
        return
    for outcome in outcomes:
        typer.echo(str(outcome.plan) if outcome.plan else f"{outcome.target}: {outcome.problem}")
    if not outcomes:
        typer.echo("no targets are configured")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    change = outcome.plan
    if change is None:
        return {"target": outcome.target, "problem": outcome.problem}
    changes = {
        name: [str(address) for address in getattr(change, name)]
        for name in ("add", "retire", "restore", "remove")
    }
    return {"target": outcome.target, "id": change.id, **changes, "reshape": change.reshape}


def _explained(document: Document, wanted: Address) -> dict[str, Any]:
    async def work(sync: Sync) -> tuple[dict[str, Any], list[Outcome]]:
        return sync.snapshot(), await sync.plans()

    snapshot, outcomes = _with_sync(document, work)
    text = str(wanted)
    entry = next((item for item in snapshot["addresses"] if item["address"] == text), None)
    names = [name for name, address in snapshot["alsoAllow"].items() if address == text]
    listed = bool(entry or names)
    shown: dict[str, Any] = {"address": text, "state": "always" if names else "not listed"}
    if entry:
        seen = {name: _moment(entry[name]) for name in ("firstSeen", "lastSeen")}
        shown |= {"state": entry["state"], **seen, "secondsLeft": entry["secondsLeft"]}
    records = audit_of(document.data_dir).read(last=EVERY_RECORD)
    return shown | {
        "alsoAllow": names,
        "admittedBy": [o.target for o in outcomes if _admits(o, wanted, listed=listed)],
        "history": [record for record in records if _mentions(record, text)][-20:],
    }


def _admits(outcome: Outcome, wanted: Address, *, listed: bool) -> bool:
    if outcome.plan is None:
        return False
    return wanted not in outcome.plan.add if listed else wanted in outcome.plan.remove


def _mentions(record: dict[str, Any], text: str) -> bool:
    return record["kind"] == "plan" and any(
        text in record.get(name, ()) for name in ("add", "retire", "restore", "remove")
    )


def _line(record: dict[str, Any]) -> str:
    facts = [
        f"{name}={' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in record.items()
        if name not in {"kind", "at", "digest"} and value not in ("", [], None)
    ]
    return "  ".join([_moment(record["at"]), f"{record['kind']:<4}", *facts])


def _aged(age: float | None) -> str:
    return "no good poll yet" if age is None else f"last good poll {age:.0f} s ago"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _fail(why: str, *, code: int = 1) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(code)
