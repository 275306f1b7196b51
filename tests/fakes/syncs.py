"""The allow-list's loop body over whatever a test gives it, with its files in one folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from agora_sidecar.process.clock import Clock, SystemClock
from scheduler.allowlist.applier import Applier, Leads
from scheduler.allowlist.audit import Audit
from scheduler.allowlist.book_file import BookFile
from scheduler.allowlist.keeper import Keeper
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.orders import Orders
from scheduler.allowlist.rules import Rules
from scheduler.allowlist.sightings import Sightings
from scheduler.allowlist.source import Asks, Source
from scheduler.allowlist.sync import Publish, Sync
from scheduler.allowlist.targets import Target
from tests.fakes.address_list import AddressList
from tests.fakes.clock import FakeClock
from tests.fakes.memory_target import MemoryTarget


def rules(**others: Any) -> Rules:
    usual: dict[str, Any] = {
        "grace": 1000.0,
        "poll_interval": 7200.0,
        "max_entries": 8,
        "accept_reserved": False,
        "also_allow": {},
    }
    return Rules(**usual | others)


def sync_of(
    folder: Path,
    vendor: Asks,
    *targets: Target,
    rules: Rules,
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
    publish: Publish | None = None,
    leads: Leads | None = None,
    paths: Sequence[str] = ("/v1/ncs/ip",),
) -> Sync:
    clock = clock or SystemClock()
    metrics = AllowlistMetrics(registry or CollectorRegistry())
    audit = Audit(folder / "audit.jsonl")
    return Sync(
        source=Source(vendor, paths=paths),
        keeper=Keeper(
            rules=rules,
            book_file=BookFile(folder / "book"),
            audit=audit,
            clock=clock,
            metrics=metrics,
        ),
        applier=Applier(
            targets=targets, rules=rules, audit=audit, clock=clock, metrics=metrics, leads=leads
        ),
        orders=Orders(folder / "orders", clock=clock),
        sightings=Sightings(folder / "sightings", clock=clock, metrics=metrics),
        audit=audit,
        clock=clock,
        metrics=metrics,
        publish=publish,
    )


class World:
    """A sync over fakes, which may be started anew on the same disk."""

    def __init__(self, folder: Path, *listed: str, **changed: Any) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.list = AddressList(*listed)
        self.target = MemoryTarget()
        self.changed = changed
        self.leads: Leads | None = None
        self.start()

    def start(self) -> Sync:
        self.registry = CollectorRegistry()
        self.sync = sync_of(
            self.folder,
            self.list,
            self.target,
            rules=rules(**self.changed),
            clock=self.clock,
            registry=self.registry,
            leads=self.leads,
        )
        return self.sync

    def admitted(self) -> set[str]:
        current = self.target.current
        return {str(address) for address in current.admitted} if current else set()

    def measured(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"agora_sidecar_allowlist_{name}", labels)
