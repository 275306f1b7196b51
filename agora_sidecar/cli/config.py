"""`agora-sidecar config`: check the settings, show what is in force, print their schema."""

import json
import os
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn, Optional

import typer

from agora_sidecar.cli.document import Document, Process, read_document
from agora_sidecar.process.settings import Loaded, SettingsError

app = typer.Typer(
    no_args_is_help=True,
    help="Check and show the settings.",
    epilog="Example: agora-sidecar config check --config sidecar.toml",
)

ConfigOption = Annotated[
    str, typer.Option("--config", metavar="FILE", help="TOML file; otherwise SIDECAR_CONFIG.")
]


def refuse(error: SettingsError) -> NoReturn:
    """Print what is wrong with the settings, one line each, and end with exit code 2."""
    for problem in error.problems:
        typer.echo(problem, err=True)
    raise typer.Exit(2)


@app.command()
def check(
    config: ConfigOption = "",
    process: Annotated[
        Optional[Process],  # noqa: UP045 - typer reads it
        typer.Option("--for", help="Also demand what this process cannot do without."),
    ] = None,
) -> None:
    """Validate the settings; exit code 2 and one line for each problem.

    Example: agora-sidecar config check --config sidecar.toml --for receiver
    """
    loaded = _read(config, process)
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo("configuration is valid")


@app.command()
def show(
    config: ConfigOption = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Print what is in force and where each value came from; secrets are masked.

    Example: SIDECAR_REDIS__URL=redis://db:6379/0 agora-sidecar config show
    """
    loaded = _read(config, None)
    values = _values(loaded)
    if as_json:
        typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    for line in _lines(values):
        typer.echo(line)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings, for editors and for checking a file elsewhere.

    Example: agora-sidecar config schema > sidecar.schema.json
    """
    typer.echo(json.dumps(Document.model_json_schema(), indent=2, ensure_ascii=False))


def _read(config: str, process: Process | None) -> Loaded[Document]:
    try:
        return read_document(
            environ=os.environ, file=config, processes=(process,) if process else ()
        )
    except SettingsError as error:
        refuse(error)


def _values(loaded: Loaded[Document]) -> dict[str, dict[str, Any]]:
    """Each setting by its dotted path: its value as it is written, and its origin."""
    found = {}
    for name, value in loaded.document.model_dump(mode="json", by_alias=True).items():
        inner = value.items() if isinstance(value, dict) else ()
        for key, part in inner:
            found[f"{name}.{key}"] = {"value": part, "origin": loaded.origin(name, key)}
        if not inner:
            found[name] = {"value": value, "origin": loaded.origin(name)}
    return found


def _lines(values: dict[str, dict[str, Any]]) -> Iterator[str]:
    """TOML with the origin of each value as a comment; what has no table comes first."""
    section = ""
    for path, entry in sorted(values.items(), key=lambda item: "." in item[0]):
        table, _, name = path.rpartition(".")
        if table != section:
            section = table
            yield f"\n[{table}]"
        yield f"{name} = {_toml(entry['value'])}  # {entry['origin']}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {_toml(part)}" for name, part in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)
