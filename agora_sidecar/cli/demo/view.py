"""Shows a scene: live in a terminal, as plain lines where the output is piped."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agora_sidecar.cli.demo.business import SILENCED
from agora_sidecar.cli.demo.scene import Scene
from agora_sidecar.emulator.journal import Journal

_COLOURS = {
    "stored": "green",
    "finding": "bold magenta",
    "allowed": "cyan",
    "retiring": "yellow",
    "gap": "bold yellow",
    "late": "yellow",
    "gone": "dim",
    "stranger": "bold red",
}


class View:
    """Prints lines as they come, or redraws the whole picture a few times a second."""

    def __init__(
        self,
        scene: Scene,
        journal: Journal,
        recordings: Callable[[], dict[str, str]],
        *,
        console: Console,
        note: str,
    ) -> None:
        self._scene = scene
        self._journal = journal
        self._recordings = recordings
        self._console = console
        self._note = note
        self._began = time.monotonic()
        self._phase = "starting"

    def phase(self, text: str) -> None:
        """What is being done now."""
        self._phase = text
        self.line(f"--- {text}")

    def line(self, text: str) -> None:
        """One thing that happened; a live picture shows the scene's own list of them."""
        if not self._console.is_terminal:
            self._console.print(
                f"{time.monotonic() - self._began:6.1f}s {text}", highlight=False, soft_wrap=True
            )

    async def run(self) -> None:
        """Redraw for ever in a terminal; otherwise lines are enough."""
        if not self._console.is_terminal:
            await asyncio.Event().wait()
        with Live(console=self._console, refresh_per_second=6, get_renderable=self._draw):
            await asyncio.Event().wait()

    def _draw(self) -> Group:
        columns = Table.grid(expand=True, padding=(0, 1))
        columns.add_column(ratio=3)
        columns.add_column(ratio=2)
        columns.add_row(
            Panel(self._happenings(), title="what happens", height=18),
            Group(Panel(self._list(), title="allow-list"), Panel(self._ends(), title="recordings")),
        )
        seconds = time.monotonic() - self._began
        head = Text(f"agora-sidecar demo  {seconds:5.1f}s  {self._phase}", style="bold")
        return Group(head, Panel(self._counts(), title="callbacks"), columns, Text(self._note))

    def _counts(self) -> Text:
        journal, scene = self._journal, self._scene
        parts: list[tuple[str, Any, str]] = [
            ("sent", journal.sent, "white"),
            ("answered 200", journal.answers[200], "green"),
            ("stored", scene.answers["stored"], "green"),
            ("duplicates recognised", scene.answers["duplicate"], "yellow"),
            ("never sent (lost on the way)", journal.lost, "red"),
            ("overtaken", journal.disordered, "yellow"),
            ("missed by their numbers", scene.gaps["missing"], "bold yellow"),
        ]
        return Text("   ").join(
            Text(f"{name} {value}", style=style) for name, value, style in parts
        )

    def _happenings(self) -> Text:
        lines = [
            Text(line, style=_COLOURS.get(line.split(" ", 1)[0], ""), overflow="ellipsis")
            for line in self._scene.lines
        ]
        return Text("\n").join(lines)

    def _list(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for address, item in sorted(self._scene.addresses.items()):
            left = item.get("secondsLeft")
            style = "yellow" if item["state"] == "retiring" else "cyan"
            rest = f"{left:.0f}s left" if left is not None else ""
            table.add_row(Text(address, style=style), str(item["state"]), rest)
        return table

    def _ends(self) -> Table:
        recordings, told = self._recordings(), self._scene.told_by
        silent = next((sid for sid, cname in recordings.items() if cname == SILENCED), None)
        found = silent in self._scene.closed
        table = Table.grid(padding=(0, 2))
        table.add_row("started", str(len(recordings)))
        table.add_row("closed", str(len(self._scene.closed)))
        table.add_row("  told by events", str(told["event"]))
        table.add_row("  found out", str(len(self._scene.closed) - told["event"]))
        state = "found out" if found else "not heard of its end" if silent else "not started yet"
        table.add_row(SILENCED, state)
        return table
