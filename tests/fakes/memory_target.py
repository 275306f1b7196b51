"""A target that is a dictionary: what it was told, what it has, and how it can go wrong."""

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.targets import TargetError


class MemoryTarget:
    """Admits what it was last given. `timed` as the kernel's filter, otherwise as a file."""

    def __init__(self, name: str = "memory", *, timed: bool = True) -> None:
        self.name = name
        self.form = "memory"
        self.timed = timed
        self.admitted: dict[Address, float | None] | None = None
        self.applied: list[Wish] = []
        self.fail_next_read = 0
        self.fail_next_apply = 0
        self.forget_for_test: set[Address] = set()

    async def read(self) -> Current | None:
        if self.fail_next_read:
            self.fail_next_read -= 1
            raise TargetError(self.name, "told not to be read")
        return None if self.admitted is None else Current(dict(self.admitted), self.form)

    async def apply(self, wish: Wish) -> None:
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        if self.fail_next_apply:
            self.fail_next_apply -= 1
            raise TargetError(self.name, "told to fail")
        self.applied.append(dict(wish))
        self.admitted = {
            address: left if self.timed else None
            for address, left in wish.items()
            if address not in self.forget_for_test
        }

    async def counted(self) -> dict[str, int]:
        return {}

    async def uninstall(self) -> None:
        self.admitted = None
