"""A target that is a variable: remembers what it was told, fails or lies when asked."""

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.plan import Current, Wish, expressible
from scheduler.allowlist.targets import ANYTIME, Permit, TargetError


class MemoryTarget:
    """Keeps a target's promises; `applied` lists the wishes in order.

    `fail_next` makes the next call fail with these words; with `ignores_writes` it says that it
    applied, and did not.
    """

    def __init__(self, name: str = "memory", *, timed: bool = True) -> None:
        self.name = name
        self.timed = timed
        self.form = "memory"
        self.current: Current | None = None
        self.applied: list[Wish] = []
        self.permits: list[Permit] = []
        self.shared = False
        self.fail_next = ""
        self.ignores_writes = False

    def edit_for_test(self, admitted: dict[Address, float | None]) -> None:
        """Somebody else puts these in as well."""
        before = self.current.admitted if self.current else {}
        self.current = Current({**before, **admitted}, self.form)

    async def read(self) -> Current | None:
        self._maybe_fail()
        return self.current

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        self._maybe_fail()
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        permit.demand(self.name)
        self.permits.append(permit)
        self.applied.append(dict(wish))
        if not self.ignores_writes:
            self.current = Current(expressible(wish, timed=self.timed), self.form)

    async def counted(self) -> dict[str, int]:
        return {}

    async def uninstall(self) -> None:
        self.current = None

    def _maybe_fail(self) -> None:
        why, self.fail_next = self.fail_next, ""
        if why:
            raise TargetError(self.name, why)
