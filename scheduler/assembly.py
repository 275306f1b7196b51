"""Settings into parts, for the composition root and for commands that need one part alone."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from agora_sidecar.agora.budget import Priority
from agora_sidecar.agora.client import Client
from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import Clock
from agora_sidecar.settings import AgoraSettings
from agora_sidecar.store import Redis, StoreError, store_errors
from scheduler.allowlist.addresses import Address
from scheduler.allowlist.applier import Applier, Leads
from scheduler.allowlist.audit import Audit
from scheduler.allowlist.book_file import BookFile
from scheduler.allowlist.ec2 import Ec2
from scheduler.allowlist.holding import Oddities
from scheduler.allowlist.keeper import Keeper
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.orders import Orders
from scheduler.allowlist.rules import Rules
from scheduler.allowlist.sightings import Sightings
from scheduler.allowlist.source import Source
from scheduler.allowlist.sync import Publish, Sync
from scheduler.allowlist.targets import Target, TargetError
from scheduler.allowlist.targets.aws_prefix_list import PrefixListTarget
from scheduler.allowlist.targets.aws_security_group import SecurityGroupTarget
from scheduler.allowlist.targets.command import CommandTarget, Programs
from scheduler.allowlist.targets.file import FileTarget, Reader
from scheduler.allowlist.targets.nftables.knocking import read_knocks
from scheduler.allowlist.targets.nftables.preflight import Remark, remarks
from scheduler.allowlist.targets.nftables.program import Change, Nft
from scheduler.allowlist.targets.nftables.script import KNOCKS, TABLE
from scheduler.allowlist.targets.nftables.sets import SetsTarget
from scheduler.allowlist.targets.nftables.table import NftablesTarget
from scheduler.recordings.timings import Timings
from scheduler.settings import AllowlistSettings, RecordingsSettings
from scheduler.target_settings import CommandTarget as CommandSettings
from scheduler.target_settings import FileTarget as FileSettings
from scheduler.target_settings import NftablesTarget as NftablesSettings
from scheduler.target_settings import PrefixListTarget as PrefixListSettings
from scheduler.target_settings import SecurityGroupTarget as SecurityGroupSettings
from scheduler.target_settings import Target as TargetSettings

log = structlog.get_logger()


def agora_client(settings: AgoraSettings, *, clock: Clock) -> Client:
    """The REST API of the configured account."""
    return Client(
        base_urls=settings.base_urls,
        customer_id=settings.customer_id,
        customer_secret=settings.customer_secret.get_secret_value(),
        requests_per_second=settings.requests_per_second,
        clock=clock,
        priority=Priority.SECOND,  # the business server's come first, through the gateway
        validate=False,  # what was started with odd names must be possible to stop
    )


def audit_of(data_dir: Path) -> Audit:
    """The allow-list's record."""
    return Audit(data_dir / "allowlist" / "audit.jsonl")


def allowlist_sync(
    settings: AllowlistSettings,
    *,
    data_dir: Path,
    client: Client,
    clock: Clock,
    registry: CollectorRegistry,
    publish: Publish | None = None,
    leads: Leads | None = None,
) -> Sync:
    """The allow-list's loop body, over the configured targets."""
    metrics, audit, folder = AllowlistMetrics(registry), audit_of(data_dir), data_dir / "allowlist"
    rules = _rules(settings)
    return Sync(
        source=Source(client, paths=settings.ip_paths, use_all=settings.ip_paths_use == "all"),
        keeper=Keeper(
            rules=rules,
            book_file=BookFile(folder / "book"),
            audit=audit,
            clock=clock,
            metrics=metrics,
        ),
        applier=Applier(
            targets=allowlist_targets(settings),
            rules=rules,
            audit=audit,
            clock=clock,
            metrics=metrics,
            leads=leads,
        ),
        orders=Orders(folder / "orders", clock=clock),
        sightings=Sightings(folder / "sightings", clock=clock, metrics=metrics),
        audit=audit,
        clock=clock,
        metrics=metrics,
        publish=publish,
    )


def _rules(settings: AllowlistSettings) -> Rules:
    return Rules(
        grace=settings.grace,
        poll_interval=settings.poll_interval,
        max_entries=settings.max_entries,
        accept_reserved=settings.reserved == "accept",
        also_allow={
            name: ip_address(address)
            for name, _, address in (text.partition(" = ") for text in settings.also_allow)
        },
        oddities=Oddities(settings.growth_limit, settings.turnover_limit),
    )


def allowlist_targets(settings: AllowlistSettings) -> Sequence[Target]:
    """The configured targets; nothing is read or written yet."""
    ports = [
        target.port
        for target in settings.targets
        if isinstance(target, NftablesSettings) and not target.fills
    ]
    # the operator's own addresses stand beside the vendor's
    max_entries = settings.max_entries + len(settings.also_allow)
    return [_target(target, ports=ports, max_entries=max_entries) for target in settings.targets]


def _target(settings: TargetSettings, *, ports: Sequence[int], max_entries: int) -> Target:
    match settings:
        case NftablesSettings():
            return _nftables(settings, ports=ports, max_entries=max_entries)
        case FileSettings():
            reader = Reader(settings.check, settings.reload, settings.haproxy_socket)
            return FileTarget(
                settings.path, form=settings.format, template=settings.template, reader=reader
            )
        case CommandSettings(read=read, apply=apply, dry_run=dry_run, remove=remove):
            return CommandTarget(
                settings.name,
                Programs(read=read, apply=apply, dry_run=dry_run, remove=remove),
                form=settings.format,
                within=settings.timeout,
                shared=settings.shared,
            )
        case PrefixListSettings(ipv4=ipv4, ipv6=ipv6):
            return PrefixListTarget(Ec2(region=settings.region), ipv4=ipv4, ipv6=ipv6)
        case SecurityGroupSettings(group=group, port=port, max_rules=max_rules):
            ec2 = Ec2(region=settings.region)
            return SecurityGroupTarget(ec2, group=group, port=port, max_rules=max_rules)


def _nftables(target: NftablesSettings, *, ports: Sequence[int], max_entries: int) -> Target:
    if target.fills:
        return SetsTarget(set4=target.set4, set6=target.set6)
    return NftablesTarget(
        port=target.port,
        mode=target.mode,
        mark=target.mark,
        ports=ports,
        max_entries=max_entries,
    )


@dataclass(frozen=True, slots=True)
class Filtering:
    """What there is to watch in this machine's packet filter, for the configured targets."""

    tables: tuple[str, ...]
    hears_knocks: bool

    @property
    def watched(self) -> bool:
        """Whether there is anything of ours in it."""
        return bool(self.tables)

    def changes(self) -> AsyncGenerator[Change, None]:
        """What others change there, from now on; raises TargetError."""
        return Nft().changes(self.tables)

    @staticmethod
    def knocks() -> dict[Address, int]:
        """Who is not listed and came; raises OSError."""
        return read_knocks(TABLE, tuple(KNOCKS.values()))


def filtering(settings: AllowlistSettings) -> Filtering:
    """What the nftables targets among these have in the packet filter."""
    ours = [target for target in settings.targets if isinstance(target, NftablesSettings)]
    owns = any(not target.fills for target in ours)
    tables = {" ".join(name.split()[:2]) for target in ours for name in target.fills}
    return Filtering((*((f"inet {TABLE}",) if owns else ()), *sorted(tables)), owns)


async def preflight(settings: AllowlistSettings) -> list[tuple[str, Remark]]:
    """What others do in the packet filter against the ports that are filtered, by target.

    Raises:
        TargetError: it cannot be read.
    """
    targets = [t for t in settings.targets if isinstance(t, NftablesSettings) and not t.fills]
    if not targets:
        return []
    ruleset = await Nft().run("nftables", "-j", "list", "ruleset")
    try:
        return [
            (f"nftables:{target.port}", remark)
            for target in targets
            for remark in remarks(ruleset, port=target.port, mark=target.mark)
        ]
    except ValueError as error:
        raise TargetError("nftables", str(error)) from error


def publisher(store: Redis, keys: Keys) -> Publish:
    """Writes the list where readers find it; no firewall is ever fed from there."""

    async def publish(snapshot: dict[str, Any]) -> None:
        hset: Any = store.hset  # the driver types its mapping invariantly
        values = {
            "revision": str(snapshot["revision"]),
            "lastGoodPoll": str(snapshot["lastGoodPoll"] or ""),
            "addresses": msgspec.json.encode(snapshot["addresses"]),
        }
        try:
            with store_errors():
                await hset(keys.allowlist, mapping=values)
        except StoreError as error:
            log.warning("allowlist.not_published", kind=error.kind, why=error.detail)

    return publish


def timings_of(settings: RecordingsSettings) -> Timings:
    """Waiting times; those without a setting keep their proportion to `end_after_404`."""
    usual = Timings()
    paced = usual.faster(usual.end_after_404 / settings.end_after_404)
    return Timings(
        silence=settings.silence,
        confirm_after=settings.confirm_after,
        end_after_404=settings.end_after_404,
        upload_wait=settings.upload_wait,
        upload_limit=settings.upload_limit,
        upload_again=paced.upload_again,
        gap_patience=paced.gap_patience,
        idle_time=usual.idle_time,
        same_time=paced.same_time,
        wave_patience=paced.wave_patience,
        confirm_again=paced.confirm_again,
        ask_again=paced.ask_again,
        stop_again=paced.stop_again,
        keep=settings.keep,
        poll=min(usual.poll, paced.poll * 10),
        jitter=usual.jitter,
    )
