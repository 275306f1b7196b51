"""What others change in the packet filter is put right at once; in a storm of it, once a minute.

`nft monitor` tells of each change; whether it concerns us is found out by reading the target, and a
target that is as it should be is left alone. Who flushes everything again and again (another
firewall manager, a script) is named, and slowed down to.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import structlog

from agora_sidecar.process.clock import Clock
from scheduler.allowlist.metrics import AllowlistMetrics
from scheduler.allowlist.sync import Sync
from scheduler.allowlist.targets import Target, TargetError

log = structlog.get_logger()

STORM = 10
"""Repairs within `STORM_WINDOW` seconds after which they are slowed down."""
STORM_WINDOW = 600.0
STORM_GAP = 60.0
"""Seconds between two repairs in a storm."""
AGAIN = 5.0
"""Seconds before listening anew where that ended."""


class Change(Protocol):
    """Somebody changed something; `writer` is the name of the program."""

    @property
    def writer(self) -> str:
        """The program's name, empty where it is not known."""
        ...


Listen = Callable[[], AsyncGenerator[Change, None]]
"""What others change from now on; raises TargetError when it cannot be told any more."""


class Drift:
    """Listens, and repairs."""

    def __init__(
        self, sync: Sync, *, listen: Listen, clock: Clock, metrics: AllowlistMetrics
    ) -> None:
        self._sync = sync
        self._listen = listen
        self._clock = clock
        self._metrics = metrics
        self._repaired: deque[float] = deque(maxlen=STORM + 1)
        self._problem = ""
        # asked for when it is read: nobody repairs anything at the end of a storm
        metrics.storm.set_function(lambda: float(self.storming))

    async def run(self) -> None:
        """Listen for ever; what was changed while nobody listened is found by reading."""
        while True:
            try:
                # closed by us: else a repair that is cut off leaves a listener behind
                async with aclosing(self._listen()) as changes:
                    async for change in changes:
                        self._note("")
                        await self.repair(writer=change.writer)
            except TargetError as error:
                self._note(error.why)
            except Exception as error:  # boundary: the next change may be seen
                log.exception("allowlist.drift_failed", why=repr(error))
            await self._clock.sleep(AGAIN)
            await self.repair()

    async def repair(
        self, *, writer: str = "", which: Callable[[Target], bool] | None = None
    ) -> int:
        """Put right what is not as it should be; how many targets that were."""
        if self.storming:
            log.error("allowlist.repair_storm", repairs=len(self._repaired), writer=writer)
            await self._clock.sleep(STORM_GAP)
        outcomes = await self._sync.bring_in_line(cause="drift", which=which or _of_this_machine)
        repaired = [o for o in outcomes if o.plan is not None and not o.plan.empty]
        for outcome in repaired:
            self._repaired.append(self._clock.monotonic())
            self._metrics.repairs.labels(outcome.target).inc()
            log.warning("allowlist.repaired", target=outcome.target, writer=writer)
        return len(repaired)

    @property
    def storming(self) -> bool:
        """Whether there were too many repairs lately."""
        recent = [at for at in self._repaired if self._clock.monotonic() - at < STORM_WINDOW]
        return len(recent) > STORM

    def _note(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.warning("allowlist.drift_unwatched", why=problem)
        elif self._problem and not problem:
            log.info("allowlist.drift_watched", after=self._problem)
        self._problem = problem


def _of_this_machine(target: Target) -> bool:
    return not target.shared
