"""The commands of `agora-sidecar allowlist` that change something.

Each is a request: a scheduler that runs carries it out and answers, otherwise the command does it
itself. So there is one who writes, and what was ordered stays in force whoever comes next.
"""

from typing import Annotated

import typer

from agora_sidecar.cli.allowlist_work import (
    JsonOption,
    ask,
    document_of,
    fail,
    folder_of,
    print_json,
    with_sync,
)
from agora_sidecar.cli.config import ConfigOption
from agora_sidecar.process.quantities import duration
from scheduler.allowlist.mailbox import FolderLock

ForOption = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, such as 15m.")]


def apply(
    config: ConfigOption = "",
    *,
    accept_plan: Annotated[
        str,
        typer.Option(
            "--accept-plan",
            metavar="ID",
            help="Only if it is this plan; also one that is held because it is odd.",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Bring every target in line with the last known good list now, and read it back.

    Example: agora-sidecar allowlist apply --config sidecar.toml
    """
    kind = "accept" if accept_plan else "apply"
    _order(config, kind, argument=accept_plan, as_json=as_json)


def poll(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Ask the vendor for its addresses now, and bring every target in line.

    Example: agora-sidecar allowlist poll --config sidecar.toml
    """
    _order(config, "poll", as_json=as_json)


def rollback(
    config: ConfigOption = "",
    *,
    to: Annotated[int, typer.Option("--to", min=0, help="The revision; see `history`.")],
    as_json: JsonOption = False,
) -> None:
    """Admit whom an earlier revision admitted, and freeze: else the next poll would undo it.

    Example: agora-sidecar allowlist rollback --to 41
    """
    _order(config, "rollback", argument=str(to), as_json=as_json)


def freeze(
    config: ConfigOption = "",
    *,
    lasting: ForOption = "",
    why: Annotated[str, typer.Option("--why", help="For those who wonder later.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Leave every target alone until `unfreeze`; polls go on, and elements that retire still end.

    Example: agora-sidecar allowlist freeze --for 1h --why "moving the proxy"
    """
    seconds = _seconds(lasting) if lasting else None
    _order(config, "freeze", argument=why[:200], seconds=seconds, as_json=as_json)


def unfreeze(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """Keep the targets in line again, from now on.

    Example: agora-sidecar allowlist unfreeze
    """
    _order(config, "unfreeze", as_json=as_json)


# the command's name, not the function of Python's
def open_(config: ConfigOption = "", *, lasting: ForOption, as_json: JsonOption = False) -> None:
    """Break the glass: let everybody in for a time; the kernel ends it even if we cannot.

    Only nftables targets with a table of their own can; others say nothing and stay as they are.

    Example: agora-sidecar allowlist open --for 15m
    """
    _order(config, "open", seconds=_seconds(lasting), as_json=as_json)


def close(config: ConfigOption = "", *, as_json: JsonOption = False) -> None:
    """End what `open` began, before its time.

    Example: agora-sidecar allowlist close
    """
    _order(config, "close", as_json=as_json)


def uninstall(config: ConfigOption = "") -> None:
    """Take away what is ours from every target. What the table restricted is open then.

    Stop the scheduler first, it would put everything back.

    Example: agora-sidecar allowlist uninstall --config sidecar.toml
    """
    document = document_of(config)
    lock = FolderLock(folder_of(document))
    if not lock.take():
        fail("a scheduler runs and would put everything back: stop it first")
    try:
        with_sync(document, lambda sync: sync.applier.uninstall())
    finally:
        lock.release()
    typer.echo("uninstalled")


open_.__name__ = "open"
COMMANDS = (apply, poll, rollback, freeze, unfreeze, open_, close, uninstall)


def _order(
    config: str,
    kind: str,
    *,
    argument: str = "",
    seconds: float | None = None,
    as_json: bool = False,
) -> None:
    answer = ask(document_of(config), kind, argument=argument, seconds=seconds)
    if as_json:
        print_json({"done": answer.done, "text": answer.text})
    elif answer.done:
        typer.echo(answer.text)
    else:
        fail(answer.text)
    if not answer.done:
        raise typer.Exit(1)


def _seconds(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
