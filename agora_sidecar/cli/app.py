"""Every command, mounted."""

from typing import Annotated

import typer

from agora_sidecar import __version__
from agora_sidecar.cli import allowlist, config, processes, recordings
from agora_sidecar.cli.demo.command import demo
from agora_sidecar.cli.emulator import emulator

app = typer.Typer(
    name="agora-sidecar",
    help="Runs beside a business server that uses Agora Cloud Recording.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(processes.up)
app.command()(processes.receiver)
app.command()(processes.scheduler)
app.command()(emulator)
app.add_typer(allowlist.app, name="allowlist")
app.add_typer(recordings.app, name="recordings")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"agora-sidecar {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and end.")
    ] = False,
) -> None:
    pass
