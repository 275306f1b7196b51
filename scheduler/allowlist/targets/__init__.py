"""One file for each kind of list, strangers to each other; this is what each of them can do.

A target knows neither where wishes come from nor how differences are computed. It refuses an empty
wish, writes only what bears its own mark, and leaves what it wrote in place when we end.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from scheduler.allowlist.plan import Current, Wish


class TargetError(Exception):
    """A target could not be read or written; the message says why and what to do."""

    def __init__(self, target: str, why: str) -> None:
        super().__init__(f"{target}: {why}")
        self.target = target
        self.why = why


class LeaseLostError(TargetError):
    """Somebody else leads by now: what is begun stays as it is, and the new leader goes on."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to change one target under one plan; for marks, `plan` is its id, `epoch` its fence.

    A target of several calls asks `demand` before each call that changes something: the lease may
    be lost in between. `epoch` is 0 for what belongs to this machine alone.
    """

    plan: str = ""
    epoch: int = 0
    lasts: Callable[[], bool] = lambda: True

    def demand(self, target: str) -> None:
        """Return if the change may go on. Raises LeaseLostError."""
        if not self.lasts():
            raise LeaseLostError(target, "stopped: the lease was lost; the new leader goes on")


ANYTIME = Permit()
"""Of one who needs nobody's leave."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a target noticed about its rights or its surroundings, and what to do."""

    kind: Literal["ok", "warning", "problem"]
    text: str
    cure: str = ""


@runtime_checkable
class Examined(Protocol):
    """A target that can tell more about itself than whether it is in sync."""

    async def examine(self) -> Sequence[Remark]:
        """What a doctor should know; nothing is changed. Raises TargetError."""
        ...


@runtime_checkable
class OfFamilies(Protocol):
    """A target in which only some families of addresses have a place."""

    @property
    def versions(self) -> Collection[int]:
        """4, 6 or both."""
        ...


class Target(Protocol):
    """A place where the allow-list is applied.

    `name` is for logs, metrics and commands. `form` is what it should look like apart from the
    addresses, to be compared with `Current.form`. `timed` tells whether it forgets addresses by
    itself when their time is over. `shared` tells whether other machines' schedulers write it too:
    then only the leader does, and the others read.
    """

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def form(self) -> str:
        """What it should look like, as one word."""
        ...

    @property
    def timed(self) -> bool:
        """Whether it counts remaining times down by itself."""
        ...

    @property
    def shared(self) -> bool:
        """Whether it is one place for several machines, so that only a leader may write."""
        ...

    async def read(self) -> Current | None:
        """What is there now, None if nothing of ours is. Raises TargetError."""
        ...

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Make it so, in one step where the target can, else adding before removing.

        Raises:
            TargetError: nothing changed, or so far that any address of both lists is admitted.
            LeaseLostError: `permit` ended in between.
        """
        ...

    async def counted(self) -> dict[str, int]:
        """What the target counted, by name; empty where it counts nothing. Raises TargetError."""
        ...

    async def uninstall(self) -> None:
        """Take away what is ours. Raises TargetError."""
        ...
