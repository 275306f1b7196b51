"""One performance of the demo, from an empty folder to a report."""

import asyncio
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from agora_sidecar.agora.client import Client
from agora_sidecar.cli.demo import namespace, stage, window
from agora_sidecar.cli.demo.business import Business
from agora_sidecar.cli.demo.scene import Scene, watch_processes, watch_stream
from agora_sidecar.cli.demo.stranger import Stranger
from agora_sidecar.cli.demo.verdict import Verdict, judge
from agora_sidecar.cli.demo.view import View
from agora_sidecar.cli.embedded import EmbeddedStore
from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.options import EmulatorOptions
from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.serving import background
from agora_sidecar.store import connect

SPEED = 10.0
"""The vendor's seconds pass so much faster: an answer within 1 s, a slice every 1.5 s."""
ROTATE_EVERY = 6.0
"""Seconds, real ones; the vendor's addresses move about every 24 hours."""
SETTLE = 60.0
"""Seconds to wait, after the traffic, until every recording is closed."""
ENFORCED = "nftables enforces the list in a network namespace of its own"
FAULTS = Faults(lose=0.1, duplicate=0.15, reorder=0.15, delay=0.1, delay_seconds=15.0)


@dataclass(slots=True)
class _Parts:
    """What runs while the demo runs."""

    emulator: Emulator
    business: Business
    scene: Scene
    view: View
    stranger: Stranger


class Performance:
    """One performance; `report` is there when it came to its end."""

    def __init__(self, *, seconds: float, seed: int, no_nftables: str) -> None:
        self._seconds = seconds
        self._seed = seed
        self._no_nftables = no_nftables
        self._console = Console()
        self._windows = window.inherited()
        self.report: dict[str, Any] | None = None

    async def main(self, stop: asyncio.Event) -> None:
        """Perform, unless stopped before the end."""
        performance = asyncio.create_task(self._perform())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({performance, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if performance.done():
                performance.result()
        finally:
            stopped.cancel()
            performance.cancel()
            with suppress(asyncio.CancelledError):
                await performance

    async def _perform(self) -> None:
        began = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix="agora-demo-"))
        try:
            async with self._staged(folder) as parts:
                await self._play(parts)
                await self._settle(parts)
                verdict = self._verdict(parts)
                self.report = self._summary(parts, verdict, seconds=time.monotonic() - began)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._console.print(_sentences(self.report), highlight=False, soft_wrap=True)

    @asynccontextmanager
    async def _staged(self, folder: Path) -> AsyncIterator[_Parts]:
        nftables = not self._no_nftables
        addresses = stage.LISTED if nftables else stage.LOOPBACK
        if nftables:
            namespace.prepare((*addresses, stage.STRANGER))
        ports = stage.free_ports()
        async with AsyncExitStack() as stack:
            store = EmbeddedStore(folder / "store", fsync=True)
            stack.push_async_callback(store.stop)
            redis_url = await store.start()
            emulator = Emulator(self._emulator_options(addresses, ports))
            stack.push_async_callback(emulator.stop)
            api_url = await emulator.start()
            config = folder / "sidecar.toml"
            setting = stage.Setting(folder, ports, redis_url, api_url, emulator.options, nftables)
            config.write_text(stage.configuration(setting))
            parts = await self._parts(stack, emulator, api_url=api_url, ports=ports)
            parts.view.line("starting the receiver and the scheduler …")
            for name, port in stage.processes(ports).items():
                await stack.enter_async_context(stage.process(name, config=config, ops_port=port))
            parts.view.line(f"look at it: {self._where(ports)}")
            client = connect(redis_url)
            stack.push_async_callback(client.aclose)
            await stack.enter_async_context(
                background(
                    watch_stream(parts.scene, client, Keys()),
                    watch_processes(parts.scene, stage.processes(ports)),
                    parts.view.run(),
                    parts.stranger.run(),
                    *map(window.look_through, self._windows, stage.processes(ports).values()),
                )
            )
            yield parts

    def _emulator_options(self, addresses: tuple[str, ...], ports: stage.Ports) -> EmulatorOptions:
        return EmulatorOptions(
            callback=f"http://127.0.0.1:{ports.receiver}/ncs",
            secret=secrets.token_hex(16),
            customer_secret=secrets.token_hex(16),
            speed=SPEED,
            seed=self._seed,
            sources=addresses,
            published=4,
            rotate_every=ROTATE_EVERY * SPEED,
            requests_per_second=10.0,
            numbering="module",
            faults=FAULTS,
        )

    async def _parts(
        self, stack: AsyncExitStack, emulator: Emulator, *, api_url: str, ports: stage.Ports
    ) -> _Parts:
        options = emulator.options
        client = Client(
            base_urls=[api_url],
            customer_id=options.customer_id,
            customer_secret=options.customer_secret,
            clock=SystemClock(),
            requests_per_second=40.0,
        )
        stack.push_async_callback(client.close)
        scene = Scene()
        business = Business(
            client=client,
            emulator=emulator,
            gateway_url=f"http://127.0.0.1:{ports.gateway}",
            seed=self._seed,
            tell=scene.say,
        )
        stack.push_async_callback(business.close)
        note = f"nftables is not shown: {self._no_nftables}" if self._no_nftables else ""
        view = View(
            scene,
            emulator.journal,
            lambda: business.started,
            console=self._console,
            note=f"{note or ENFORCED}\nlook at it: {self._where(ports)}",
        )
        scene.tell = view.line
        stranger = Stranger(
            address="" if self._no_nftables else stage.STRANGER, port=ports.receiver, say=scene.say
        )
        return _Parts(emulator, business, scene, view, stranger)

    def _where(self, ports: stage.Ports) -> str:
        found = window.addresses(self._windows, stage.processes(ports))
        return "   ".join(f"{url} {name}" for name, url in found.items())

    async def _play(self, parts: _Parts) -> None:
        if self._no_nftables:
            parts.view.line(f"nftables is not shown: {self._no_nftables}")
        parts.view.phase(f"traffic for {self._seconds:.0f} s")
        await parts.business.run(self._seconds)

    async def _settle(self, parts: _Parts) -> None:
        parts.view.phase("settling: the last callbacks, and finding out what they did not say")
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                await parts.emulator.settled()
                while set(parts.business.started) - set(parts.scene.closed):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                # events that were on their way when the last recording was closed
                await parts.emulator.settled()
                await asyncio.sleep(1.0)

    @staticmethod
    def _verdict(parts: _Parts) -> Verdict:
        return judge(
            parts.scene.entries,
            parts.emulator.journal.notices,
            parts.business.started,
            told_by=parts.scene.told_by,
        )

    def _summary(self, parts: _Parts, verdict: Verdict, *, seconds: float) -> dict[str, Any]:
        journal, scene = parts.emulator.journal, parts.scene
        return {
            "ok": verdict.ok and parts.stranger.admitted == 0,
            "seed": self._seed,
            "seconds": round(seconds, 1),
            "sent": journal.sent,
            "answers": {
                str(answer): number for answer, number in sorted(journal.answers.items(), key=str)
            },
            "neverSent": journal.lost,
            "gaps": {name: scene.gaps[name] for name in ("missing", "late")},
            "modes": dict(Counter(truth.mode for truth in journal.recordings.values())),
            "duplicates": scene.answers["duplicate"],
            **verdict.as_json(),
            "recordings": {
                "started": len(parts.business.started),
                "closed": len(scene.closed),
            },
            "addresses": {
                "rotations": journal.rotations,
                "added": len(scene.added),
                "retired": scene.retirements,
                "listed": sorted(scene.addresses),
            },
            "nftables": self._no_nftables or "enforced",
            "stranger": {"tried": parts.stranger.tried, "admitted": parts.stranger.admitted},
        }


def _sentences(report: dict[str, Any]) -> str:
    answers = ", ".join(f"{number} x {answer}" for answer, number in report["answers"].items())
    modes = ", ".join(f"{number} {mode}" for mode, number in sorted(report["modes"].items()))
    told = ", ".join(f"{number} by {who}" for who, number in report["toldBy"].items())
    recordings, addresses = report["recordings"], report["addresses"]
    stranger, never = report["stranger"], report["neverSent"]
    lines = (
        f"callbacks   {report['sent']} sent ({never} notices lost on their way): {answers}",
        (
            f"stream      {report['stored']} events stored, "
            f"{report['duplicates']} duplicates recognised, {report['lost']} lost, "
            f"{report['doubled']} doubled, {report['altered']} altered"
        ),
        (
            f"gaps        {report['gaps']['missing']} events missed by their numbers, "
            f"{report['gaps']['late']} of them came late"
        ),
        (
            f"recordings  {recordings['started']} started ({modes}), "
            f"{recordings['closed']} closed ({told})"
        ),
        (
            f"addresses   {addresses['rotations']} rotations, {addresses['added']} added, "
            f"{addresses['retired']} retired after their grace"
        ),
        (
            f"nftables    {report['nftables']}; a stranger knocked {stranger['tried']} times, "
            f"{stranger['admitted']} got in"
        ),
        f"{'OK' if report['ok'] else 'FAILED'} after {report['seconds']} s",
    )
    return "\n" + "\n".join(lines)
