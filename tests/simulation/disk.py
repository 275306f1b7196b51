"""A machine's disk without a disk: the registrations that outlive a process, and its writes."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from agora_sidecar.process.clock import Clock
from scheduler.recordings.kept import Kept
from scheduler.recordings.kept_file import KeptFile
from scheduler.recordings.ledger import Ledger
from tests.simulation.wire import Wire


class DiskFile(KeptFile):
    """The lines of `held`, which is the disk: the next process finds them there."""

    def __init__(self, held: dict[str, bytes], *, clock: Clock) -> None:
        super().__init__(Path("registrations"))
        self.lines = held
        self._clock = clock

    def read(self, name_of: Callable[[bytes], tuple[str, bool]]) -> tuple[int, Path | None]:
        return 0, None

    def append(self, name: str, line: bytes, *, gone: bool = False) -> None:
        if gone:
            self.lines.pop(name, None)
        else:
            self.lines[name] = line

    def write_anew(self) -> None:
        return

    def drop(self, names: Iterable[str]) -> None:
        for name in names:
            self.lines.pop(name, None)

    def touch(self) -> None:
        return

    def age(self, now: float) -> float:
        return 0.0


class DiskKept(Kept):
    """Registrations on such a disk; killing and pausing happen on the way to it, too."""

    def __init__(
        self, held: dict[str, bytes], *, ledger: Ledger, keep: float, clock: Clock, wire: Wire
    ) -> None:
        super().__init__(Path("registrations"), ledger=ledger, keep=keep, clock=clock)
        self._file = DiskFile(held, clock=clock)
        self._wire = wire

    async def _on_disk(self, work: Callable[..., Any], *args: Any) -> Any:
        await self._wire.gate("disk")
        done = work(*args)
        await self._wire.gate("disk")
        return done
