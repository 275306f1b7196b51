"""What the inbox asks of others: the store, the spool, and whoever watches the store."""

from collections.abc import Sequence
from typing import Protocol

from agora_sidecar.stream import Append, Outcome


class Copies(Protocol):
    """What is asked of the spool."""

    async def copy(self, items: Sequence[tuple[Append, int]], *, at_ms: int) -> None:
        """Copies of what the store took at this monotonic time; raises JournalError."""
        ...


class Appends(Protocol):
    """What the inbox asks of the store."""

    async def append_once(self, batch: Sequence[Append]) -> list[Outcome]:
        """One outcome for each; raises StoreError."""
        ...


class Keeps(Copies, Protocol):
    """What the inbox asks of the spool."""

    async def put(self, items: Sequence[tuple[Append, int]]) -> None:
        """On disk when it returns; each with its arrival in Unix ms. Raises JournalError."""
        ...


class Watched(Protocol):
    """What the inbox asks of whoever watches the store."""

    @property
    def doubtful(self) -> bool:
        """Whether the store may be another one than `level` is about."""
        ...

    async def ascertain(self) -> None:
        """Look, and set `level` anew."""
        ...
