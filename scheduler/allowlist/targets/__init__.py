"""One file for each kind of list, strangers to each other; this is what each of them can do.

A target knows neither where wishes come from nor how differences are computed. It refuses an empty
wish, writes only what bears its own mark, and leaves what it wrote in place when we end.
"""

from typing import Protocol

from scheduler.allowlist.plan import Current, Wish


class TargetError(Exception):
    """A target could not be read or written; the message says why and what to do."""

    def __init__(self, target: str, why: str) -> None:
        super().__init__(f"{target}: {why}")
        self.target = target
        self.why = why


class Target(Protocol):
    """A place where the allow-list is applied.

    `name` is for logs, metrics and commands. `form` is what it should look like apart from the
    addresses, to be compared with `Current.form`. `timed` tells whether it forgets addresses by
    itself when their time is over.
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

    async def read(self) -> Current | None:
        """What is there now, None if nothing of ours is. Raises TargetError."""
        ...

    async def apply(self, wish: Wish) -> None:
        """Make it so, in one step where the target can. Raises TargetError: nothing changed."""
        ...

    async def counted(self) -> dict[str, int]:
        """What the target counted, by name; empty where it counts nothing. Raises TargetError."""
        ...

    async def uninstall(self) -> None:
        """Take away what is ours. Raises TargetError."""
        ...
