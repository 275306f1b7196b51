"""`agora-sidecar emulator`: the offline Agora.

Exit codes: 0 ended on SIGTERM or SIGINT · 1 could not run · 2 options are wrong.
"""

import asyncio
import secrets
from dataclasses import fields
from typing import Annotated

import typer

from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.faults import FaultError, Faults, read_faults
from agora_sidecar.emulator.options import (
    CannotListenError,
    EmulatorError,
    EmulatorOptions,
    read_listen,
)
from agora_sidecar.process.serving import run

SECRET, CUSTOMER_SECRET = "emulator-secret", "emulator-customer-secret"
"""Of an account that does not exist: nothing to protect."""

SeedOption = Annotated[
    int | None, typer.Option(help="The same seed, the same decisions; default: a new one.")
]
FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        help=f"name=value; repeatable. Names: {', '.join(f.name for f in fields(Faults))}."
    ),
]
SourcesOption = Annotated[str, typer.Option(help="Addresses to send from, with commas.")]
RotateOption = Annotated[
    float | None, typer.Option(help="Seconds (the vendor's) between rotations.")
]

NumberingOption = Annotated[
    str, typer.Option(help="What `sequence` counts, recording or module: the vendor does not say.")
]


def emulator(
    *,
    listen: Annotated[str, typer.Option(help="Address and port.")] = "127.0.0.1:9400",
    callback: Annotated[str, typer.Option(help="URL for notifications; empty: none.")] = "",
    secret: Annotated[str, typer.Option(help="Signs them.")] = SECRET,
    app_id: Annotated[str, typer.Option(help="The only app id it serves.")] = "emulator-app",
    customer_id: Annotated[str, typer.Option(help="For Basic auth.")] = "emulator-customer",
    customer_secret: Annotated[str, typer.Option(help="For Basic auth.")] = CUSTOMER_SECRET,
    speed: Annotated[float, typer.Option(help="How many times faster time runs.")] = 1.0,
    seed: SeedOption = None,
    fault: FaultOption = None,
    sources: SourcesOption = "127.0.0.1",
    published: Annotated[int, typer.Option(help="How many of them are in use at a time.")] = 2,
    rotate_every: RotateOption = None,
    numbering: NumberingOption = "recording",
) -> None:
    """Be Agora: all endpoints and modes, the address list, callbacks with faults on demand.

    While it runs: /emulator/faults, /emulator/journal, /emulator/requests, /emulator/openapi.json.

    Example: agora-sidecar emulator --callback http://127.0.0.1:8080/ncs --secret s --fault lose=0.1

    Example: agora-sidecar emulator --speed 10 --seed 7 --fault failover=0.2 --fault mute=room1:end
    """
    try:
        host, port = read_listen(listen)
        options = EmulatorOptions(
            host=host,
            port=port,
            callback=callback,
            secret=secret,
            app_id=app_id,
            customer_id=customer_id,
            customer_secret=customer_secret,
            speed=speed,
            # what was sent with a seed is a duplicate when the same seed sends it again
            seed=secrets.randbits(32) if seed is None else seed,
            sources=tuple(address.strip() for address in sources.split(",")),
            published=published,
            rotate_every=rotate_every,
            numbering=numbering,
            faults=read_faults(fault or []),
        )
        run(lambda stop: _serve(options, stop))
    except (EmulatorError, FaultError) as error:
        typer.echo(f"emulator: {error}", err=True)
        raise typer.Exit(1 if isinstance(error, CannotListenError) else 2) from None


async def _serve(options: EmulatorOptions, stop: asyncio.Event) -> None:
    agora = Emulator(options)
    url = await agora.start()
    try:
        # the credentials are the emulator's own: whoever runs it needs them to talk to it
        typer.echo(
            f"emulator: listening on {url}, app id {options.app_id}, customer id"
            f" {options.customer_id}, customer secret {options.customer_secret}"
        )
        typer.echo(
            f"emulator: seed {options.seed}, speed {options.speed:g}, callbacks"
            f" {options.callback or 'off'} from {', '.join(agora.addresses)}"
        )
        await stop.wait()
    finally:
        await agora.stop()
