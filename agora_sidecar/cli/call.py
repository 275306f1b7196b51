"""`agora-sidecar call`: the vendor's API by hand; validated, with the configured account.

A body comes from a file and from options; what the reference does not allow is not sent. Exit code
1: the vendor answered something else than 200; 2: there is nothing that could be sent.
"""

from typing import Annotated

import typer

from agora_sidecar.agora import calls, fields
from agora_sidecar.agora.calls import Call
from agora_sidecar.agora.recordings import MIX, MODES, Recording
from agora_sidecar.cli.call_order import Order
from agora_sidecar.cli.config import ConfigOption

app = typer.Typer(
    no_args_is_help=True,
    help="Call the vendor's API by hand, validated.",
    epilog="Example: agora-sidecar call ncs-ip --config sidecar.toml",
)

Cname = Annotated[str, typer.Option(help="Channel, or a page's label.")]
Uid = Annotated[str, typer.Option(help="The recorder's uid.")]
Mode = Annotated[str, typer.Option(help=f"{', '.join(MODES)}.")]
ResourceId = Annotated[str, typer.Option(help="As acquire answered it.")]
Sid = Annotated[str, typer.Option(help="As start answered it.")]
Body = Annotated[
    str, typer.Option(metavar="FILE", help="JSON: a whole body or its clientRequest; - is stdin.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Put into clientRequest; @FILE: a file's text."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Validate and show; send nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Send it though it breaks a rule.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
AppId = Annotated[str, typer.Option(help="Otherwise agora.app_id.")]


@app.command()
def acquire(
    *,
    cname: Cname = "",
    uid: Uid = "",
    body: Body = "",
    assignments: Set = None,
    config: ConfigOption = "",
    app_id: AppId = "",
    dry_run: DryRun = False,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Get a resource id for one start.

    Example: agora-sidecar call acquire --cname room-1 --uid 900001 --set resourceExpiredHour=24
    """
    order = Order(config, app_id=app_id, dry_run=dry_run, force=force, as_json=as_json)
    found = order.body(calls.ACQUIRE, body, assignments, cname=cname, uid=uid)
    order.carry_out(lambda: calls.acquire(order.app_id, found))


@app.command()
def start(
    *,
    resource_id: ResourceId,
    mode: Mode = "mix",
    cname: Cname = "",
    uid: Uid = "",
    body: Body = "",
    assignments: Set = None,
    config: ConfigOption = "",
    app_id: AppId = "",
    dry_run: DryRun = False,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Start a recording, within two seconds of acquire.

    Example: agora-sidecar call start --resource-id $RID --mode mix --cname room-1 --uid 900001
    --body start.json --set storageConfig.secretKey=@/run/secrets/storage
    """
    order = Order(config, app_id=app_id, dry_run=dry_run, force=force, as_json=as_json)
    found = order.body(calls.START, body, assignments, cname=cname, uid=uid, mode=mode)
    order.carry_out(
        lambda: calls.start(order.app_id, resource_id=resource_id, mode=mode, body=found)
    )


@app.command()
def query(
    *,
    resource_id: ResourceId,
    sid: Sid,
    mode: Mode = "mix",
    config: ConfigOption = "",
    app_id: AppId = "",
    dry_run: DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """Ask what the vendor knows of a recording.

    Example: agora-sidecar call query --resource-id $RID --sid $SID --mode mix
    """
    order = Order(config, app_id=app_id, dry_run=dry_run, as_json=as_json)
    task = Recording(order.app_id, resource_id, sid, mode, "", "")
    order.carry_out(lambda: calls.query(task))


@app.command()
def update(
    *,
    resource_id: ResourceId,
    sid: Sid,
    mode: Mode = "mix",
    cname: Cname = "",
    uid: Uid = "",
    body: Body = "",
    assignments: Set = None,
    config: ConfigOption = "",
    app_id: AppId = "",
    dry_run: DryRun = False,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Change who is subscribed to, or pause a page's recording.

    Example: agora-sidecar call update --resource-id $RID --sid $SID --mode web --cname page
    --uid 900001 --set webRecordingConfig.onhold=true
    """
    order = Order(config, app_id=app_id, dry_run=dry_run, force=force, as_json=as_json)
    found = order.body(calls.UPDATE, body, assignments, cname=cname, uid=uid, mode=mode)
    task = Recording(order.app_id, resource_id, sid, mode, "", "")
    order.carry_out(lambda: calls.about(calls.UPDATE, task, found))


@app.command("update-layout")
def update_layout(
    *,
    resource_id: ResourceId,
    sid: Sid,
    cname: Cname = "",
    uid: Uid = "",
    body: Body = "",
    assignments: Set = None,
    config: ConfigOption = "",
    app_id: AppId = "",
    dry_run: DryRun = False,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Replace the whole layout of a composite recording.

    Example: agora-sidecar call update-layout --resource-id $RID --sid $SID --cname room-1
    --uid 900001 --set mixedVideoLayout=1
    """
    order = Order(config, app_id=app_id, dry_run=dry_run, force=force, as_json=as_json)
    found = order.body(calls.UPDATE_LAYOUT, body, assignments, cname=cname, uid=uid)
    task = Recording(order.app_id, resource_id, sid, MIX, "", "")
    order.carry_out(lambda: calls.about(calls.UPDATE_LAYOUT, task, found))


@app.command()
def stop(
    *,
    resource_id: ResourceId,
    sid: Sid,
    mode: Mode = "mix",
    cname: Cname = "",
    uid: Uid = "",
    body: Body = "",
    assignments: Set = None,
    config: ConfigOption = "",
    app_id: AppId = "",
    dry_run: DryRun = False,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Let a recording end; without async_stop the answer waits for the upload.

    Example: agora-sidecar call stop --resource-id $RID --sid $SID --cname room-1 --uid 900001
    --set async_stop=true
    """
    order = Order(config, app_id=app_id, dry_run=dry_run, force=force, as_json=as_json)
    found = order.body(calls.STOP, body, assignments, cname=cname, uid=uid, mode=mode)
    task = Recording(order.app_id, resource_id, sid, mode, "", "")
    waits = fields.mapping(found.get("clientRequest")).get("async_stop") is not True
    order.carry_out(lambda: calls.about(calls.STOP, task, found, patient=waits))


@app.command("ncs-ip")
def ncs_ip(
    *,
    path: Annotated[str, typer.Option(help="/v1/ncs/ip or /v2/ncs/ip.")] = "/v1/ncs/ip",
    config: ConfigOption = "",
    dry_run: DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """Ask from which addresses notifications come.

    Example: agora-sidecar call ncs-ip --json
    """
    if not path.startswith("/"):
        raise typer.BadParameter("it must begin with /, as /v1/ncs/ip does", param_hint="--path")
    order = Order(config, app_id="-", dry_run=dry_run, as_json=as_json)
    order.carry_out(lambda: Call(calls.NCS_IP, "GET", path))
