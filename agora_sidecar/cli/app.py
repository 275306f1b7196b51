"""Every command, mounted. A process imports only its own: its memory and its start depend on it."""

from importlib import import_module
from typing import Annotated

import typer

from agora_sidecar import __version__

COMMANDS = {
    "demo": "demo.command",
    "up": "processes",
    "receiver": "processes",
    "scheduler": "processes",
    "emulator": "emulator",
    "allowlist": "allowlist",
    "recordings": "recordings",
    "call": "call",
    "config": "config",
    "doctor": "doctor",
    "spool": "spool",
    "tail": "tail",
    "replay": "replay",
}
"""Name to the module that has it: a function of that name, or a group of commands as `app`."""


def application(wanted: str = "") -> typer.Typer:
    """The command line with this command alone, or with all where there is no such command."""
    app = typer.Typer(
        name="agora-sidecar",
        help="Runs beside a business server that uses Agora Cloud Recording.",
        epilog="Example: agora-sidecar demo. Each command's --help has one of its own.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for name in [wanted] if wanted in COMMANDS else COMMANDS:
        module = import_module(f"agora_sidecar.cli.{COMMANDS[name]}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"agora-sidecar {__version__}")
        raise typer.Exit


def _main(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and end.")
    ] = False,
) -> None:
    pass
