"""Watches the demo: the stream, the allow-list and the receiver's answers, as they change."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from agora_sidecar.cli.demo.verdict import CLOSED, FINDING
from agora_sidecar.entry import Entry, read_entry
from agora_sidecar.keys import Keys
from agora_sidecar.store import Redis, StoreError, store_errors

LOOK_EVERY = 0.3
"""Seconds between two looks at what cannot tell by itself."""


@dataclass(slots=True)
class Scene:
    """What is known of the running demo; filled in by `watch`, read by whoever shows it."""

    entries: list[Entry] = field(default_factory=list)
    closed: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    addresses: dict[str, dict[str, Any]] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)
    retired: set[str] = field(default_factory=set)
    retirements: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=14))
    tell: Callable[[str], None] = lambda _: None

    def say(self, line: str) -> None:
        """One thing that happened, for people."""
        self.lines.append(line)
        self.tell(line)

    @property
    def told_by(self) -> Counter[str]:
        """By whom the ends were told."""
        return Counter(str(data.get("toldBy", "")) for data in self.closed.values())

    def add(self, entry: Entry) -> None:
        """An entry of the stream."""
        self.entries.append(entry)
        sid = entry.subject[:8]
        if entry.type == CLOSED:
            data = json.loads(entry.data)
            self.closed[entry.subject] = data
            told, why = data.get("toldBy"), data.get("reason")
            self.say(f"finding   closed {sid} {entry.cname}: {why}, told by {told}")
        elif entry.type.startswith(FINDING):
            self.say(f"finding   {entry.type.removeprefix(FINDING)} {sid} {entry.cname}")
        else:
            name = entry.type.rsplit(".", 1)[-1]
            self.say(f"stored    {name} #{entry.sequence} of {sid} {entry.cname}")

    def miss(self, gaps: Counter[str]) -> None:
        """The scheduler's count of missing notifications, and of those that came late."""
        new, healed = gaps["missing"] - self.gaps["missing"], gaps["late"] - self.gaps["late"]
        if new > 0:
            self.say(f"gap       {new} missing by their numbers: the sidecar will ask")
        if healed > 0:
            self.say(f"late      {healed} missing before came after all")
        self.gaps = gaps

    def list(self, found: list[dict[str, Any]]) -> None:
        """The allow-list as the scheduler has it."""
        now = {str(item["address"]): item for item in found}
        for address in sorted(now.keys() - self.addresses.keys()):
            self.added.add(address)
            self.say(f"allowed   {address}")
        for address, item in now.items():
            before = self.addresses.get(address, {}).get("state")
            if item["state"] == "retiring" and before == "active":
                self.say(f"retiring  {address}: admitted until its grace is over")
        for address in sorted(self.addresses.keys() - now.keys()):
            self.retired.add(address)
            self.retirements += 1
            self.say(f"gone      {address}")
        self.addresses = now


async def watch_stream(scene: Scene, client: Redis, keys: Keys) -> None:
    """Follow the events for ever."""
    last = b"0-0"
    while True:
        found: Any = []
        with suppress(StoreError), store_errors():
            found = await client.xread({keys.events: last}, count=500, block=200)
        for _, entries in found or []:
            for stream_id, fields in entries:
                last = stream_id
                scene.add(read_entry(stream_id, fields))


async def watch_processes(scene: Scene, ops_ports: Mapping[str, int]) -> None:
    """Look at both processes' ops ports for ever."""
    async with httpx.AsyncClient(timeout=2.0) as client:
        while True:
            with suppress(httpx.HTTPError):
                await look(scene, client, ops_ports)
            await asyncio.sleep(LOOK_EVERY)


async def look(scene: Scene, client: httpx.AsyncClient, ops_ports: Mapping[str, int]) -> None:
    """Look at both ops ports once."""
    receiver, scheduler = (f"http://127.0.0.1:{ops_ports[n]}" for n in ("receiver", "scheduler"))
    scene.answers = await _count(client, f"{receiver}/metrics", "agora_sidecar_answers", "outcome")
    scene.miss(await _count(client, f"{scheduler}/metrics", "agora_sidecar_recording_gaps", "what"))
    status = (await client.get(f"{scheduler}/status")).json()
    scene.list(status["allowlist"]["addresses"])


async def _count(client: httpx.AsyncClient, url: str, name: str, label: str) -> Counter[str]:
    metrics = (await client.get(url)).text
    return Counter(
        {
            sample.labels[label]: int(sample.value)
            for family in text_string_to_metric_families(metrics)
            if family.name == name
            for sample in family.samples
            if sample.name.endswith("_total")
        }
    )
