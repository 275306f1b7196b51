"""The command `demo`; imports the performance only when it is asked for."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agora_sidecar.process.quantities import duration


def demo(
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long there is traffic.")
    ] = "20s",
    seed: Annotated[int, typer.Option(help="Another seed, another course of events.")] = 7,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary as JSON.")
    ] = None,
) -> None:
    """Show the whole job on this machine: lossy callbacks, rotating addresses, lost ends.

    Needs no account and no installed server. Exit code 0 only if every acknowledged event is on
    the stream exactly once and every recording is closed.

    Example: agora-sidecar demo --for 30s --seed 7 --report demo.json
    """
    try:
        seconds = float(duration(for_))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    if report is not None and not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"{report.parent} is not a folder", param_hint="--report")
    _conclude(_perform(seconds, seed=seed), report)


def _perform(seconds: float, *, seed: int) -> dict[str, Any] | None:
    from agora_sidecar.cli.demo import namespace, stage
    from agora_sidecar.cli.demo.performance import Performance
    from agora_sidecar.cli.embedded import NoServerError
    from agora_sidecar.process.logs import configure
    from agora_sidecar.process.serving import run

    reason = "" if namespace.inside() else namespace.why_not()
    if not reason and not namespace.inside():
        namespace.enter(sys.argv[1:])
    configure(format="console", level="error")  # what the demo says is not a log
    performance = Performance(seconds=seconds, seed=seed, no_nftables=reason)
    try:
        run(performance.main)
    except (stage.StageError, NoServerError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    return performance.report


def _conclude(summary: dict[str, Any] | None, report: Path | None) -> None:
    if summary is None:
        typer.echo("interrupted; everything that was started has ended", err=True)
        raise typer.Exit(1)
    if report is not None:
        report.write_text(json.dumps(summary, indent=2) + "\n")
    raise typer.Exit(0 if summary["ok"] else 1)
