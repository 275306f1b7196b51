"""`agora-sidecar allowlist`: who is admitted and why, what each target lacks. These commands look.

They read the list that the scheduler keeps in `data_dir` and the targets themselves; none asks the
vendor. Run them on the scheduler's machine, as its user; what changes something is in
`allowlist_orders`. Exit codes: 0 done · 1 failed, or not as it should be (`verify`) · 2 usage,
settings, or there is something to do (`plan`).
"""

import sys
from ipaddress import ip_address
from typing import Annotated, Any

import typer

from agora_sidecar.cli import allowlist_orders as orders
from agora_sidecar.cli.allowlist_text import history_line, moment, status_lines
from agora_sidecar.cli.allowlist_work import (
    JsonOption,
    document_of,
    fail,
    print_json,
    with_sync,
)
from agora_sidecar.cli.config import ConfigOption
from agora_sidecar.cli.document import Document
from scheduler.allowlist.addresses import Address
from scheduler.allowlist.report import Outcome
from scheduler.allowlist.sync import Sync
from scheduler.assembly import audit_of

app = typer.Typer(
    no_args_is_help=True,
    help="See and steer the allow-list.",
    epilog="Example: agora-sidecar allowlist status --config sidecar.toml",
)

EVERY_RECORD = sys.maxsize
"""More records than a file holds."""

for change in orders.COMMANDS:
    app.command()(change)


@app.command()
def status(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Print the list, its age, and how each target stands.

    Example: agora-sidecar allowlist status --config sidecar.toml
    """
    shown = _snapshot(document_of(config))
    if as_json:
        print_json(shown)
        return
    for line in status_lines(shown):
        typer.echo(line)


@app.command()
def plan(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Print what each target lacks; change nothing. Exit code 2 if there is something to do.

    Example: agora-sidecar allowlist plan --config sidecar.toml
    """
    outcomes = _outcomes(document_of(config))
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
    outcomes = _outcomes(document_of(config))
    _show(outcomes, as_json=as_json)
    if not all(outcome.plan and outcome.plan.empty for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def history(
    config: ConfigOption = "",
    *,
    last: Annotated[
        int, typer.Option("--last", min=1, max=1_000_000, help="How many records.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Print the last polls and changes from the record, oldest first.

    Example: agora-sidecar allowlist history --last 50
    """
    records = audit_of(document_of(config).data_dir).read(last=last)
    if as_json:
        print_json(records)
        return
    for record in records:
        typer.echo(history_line(record))


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
        fail(f"{address}: not one IPv4 or IPv6 address", code=2)
    document = document_of(config)
    shown = _explained(document, wanted)
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        if name != "history" and value not in (None, []):
            typer.echo(f"{name}: {' '.join(value) if isinstance(value, list) else value}")
    for record in shown["history"]:
        typer.echo(f"  {history_line(record)}")


def _snapshot(document: Document) -> dict[str, Any]:
    async def work(sync: Sync) -> dict[str, Any]:
        outcomes = await sync.look()
        return sync.snapshot() | {"targets": [_standing(outcome) for outcome in outcomes]}

    return with_sync(document, work)


def _outcomes(document: Document) -> list[Outcome]:
    return with_sync(document, lambda sync: sync.plans())


def _standing(outcome: Outcome) -> dict[str, Any]:
    problem = outcome.problem
    if outcome.plan is not None and not outcome.plan.empty:
        problem = "not in sync; see `allowlist plan`"
    return {"name": outcome.target, "inSync": not problem, "problem": problem}


def _show(outcomes: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        print_json([_as_json(outcome) for outcome in outcomes])
        return
    for outcome in outcomes:
        typer.echo(str(outcome.plan) if outcome.plan else f"{outcome.target}: {outcome.problem}")
        if outcome.plan and not outcome.plan.empty:
            typer.echo(f"  plan {outcome.plan.id}")
    if not outcomes:
        typer.echo("no targets are configured")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    change = outcome.plan
    if change is None:
        return {"target": outcome.target, "problem": outcome.problem}
    reshape = change.reshape
    return {"target": outcome.target, "id": change.id, **change.changes(), "reshape": reshape}


def _explained(document: Document, wanted: Address) -> dict[str, Any]:
    async def work(sync: Sync) -> tuple[dict[str, Any], list[Outcome]]:
        return sync.snapshot(), await sync.plans()

    snapshot, outcomes = with_sync(document, work)
    text = str(wanted)
    entry = next((item for item in snapshot["addresses"] if item["address"] == text), None)
    names = [name for name, address in snapshot["alsoAllow"].items() if address == text]
    listed = bool(entry or names)
    shown: dict[str, Any] = {"address": text, "state": "always" if names else "not listed"}
    if entry:
        seen = {name: moment(entry[name]) for name in ("firstSeen", "lastSeen")}
        shown |= {"state": entry["state"], **seen}
        shown |= {name: entry[name] for name in ("secondsLeft", "absences", "packets")}
    shown["cameUnlisted"] = _came(snapshot, text)
    records = audit_of(document.data_dir).read(last=EVERY_RECORD)
    return shown | {
        "alsoAllow": names,
        "admittedBy": [o.target for o in outcomes if _admits(o, wanted, listed=listed)],
        "history": [record for record in records if _mentions(record, text)][-20:],
    }


def _came(snapshot: dict[str, Any], text: str) -> str | None:
    """What is known of a source that came without being listed."""
    for source in snapshot["unlisted"]:
        if source["address"] == text:
            times = f"{moment(source['firstSeen'])} to {moment(source['lastSeen'])}"
            kind = "authentic deliveries" if source["authentic"] else "no authentic delivery"
            return f"{times}, {source['packets']} packets, {kind}"
    return None


def _admits(outcome: Outcome, wanted: Address, *, listed: bool) -> bool:
    if outcome.plan is None:
        return False
    return wanted not in outcome.plan.add if listed else wanted in outcome.plan.remove


def _mentions(record: dict[str, Any], text: str) -> bool:
    return record["kind"] == "plan" and any(
        text in record.get(name, ()) for name in ("add", "retire", "restore", "remove")
    )
