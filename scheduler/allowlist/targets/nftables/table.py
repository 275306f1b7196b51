"""The target that filters one port in a table of our own, `inet agora_sidecar`.

The table can only restrict: another chain's drop still drops. Active addresses are permanent
elements; retiring ones carry their remaining time, so that the kernel ends it even if we are dead.
It stays in place when we stop. Needs CAP_NET_ADMIN and the program `nft`.
"""

from collections.abc import Collection, Sequence

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.targets import ANYTIME, Permit, TargetError
from scheduler.allowlist.targets.nftables.listing import Elements, Listing, listed
from scheduler.allowlist.targets.nftables.program import Nft, NothingThereError
from scheduler.allowlist.targets.nftables.script import (
    KNOCKS,
    MARK,
    OPEN,
    SETS,
    TABLE,
    Port,
    difference,
    of_version,
    opening,
    replacement,
    table_script,
)

LEFT_OVER = "with a chain that is not configured"
"""The form of a table that filters a port of an earlier configuration, or holds what others put."""
DORMANT = "dormant"
INCOMPLETE = "incomplete"
RESIZED = "with sets of another size"
WHERE = f"inet {TABLE}"


class NftablesTarget:
    """One port's filter.

    `ports` are all that are filtered in the table, this one too: chains of others are removed.
    Empty: they are left alone.
    """

    timed = True
    shared = False

    def __init__(
        self,
        *,
        port: int,
        mode: str,
        max_entries: int,
        mark: int = 0,
        ports: Collection[int] = (),
        program: Nft | None = None,
    ) -> None:
        self._port = Port(port, mode, 2 * max_entries, mark)
        self._chains = {f"port_{number}" for number in ports}
        self._nft = program or Nft()
        self.name = f"nftables:{port}"
        self.form = self._port.form

    async def read(self) -> Current | None:
        """What the kernel has."""
        table = await self._listing()
        if table is None:
            return None
        return Current(self._elements(table).left, self._form(table))

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Everything in one transaction; nothing changes if the kernel refuses any of it."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        permit.demand(self.name)
        table = await self._listing()
        if table and table.dormant:  # then it filters nothing, and what it holds cannot be read
            await self._transaction([f"add table {WHERE}"])
            table = await self._listing()
        lines = self.script(table)
        there = self._elements(table) if table else Elements()
        parts = [(f"{WHERE} {SETS[v]}", v) for v in SETS]
        for name, version in parts:
            before = of_version(there.left, version)
            lines += difference(name, before, of_version(wish, version), there.packets)
        try:
            await self._transaction(lines)
        except NothingThereError:  # an element ended by itself, or somebody took it: in whole then
            lines = self.script(None)
            for name, version in parts:
                lines += replacement(name, of_version(wish, version), there.packets)
            await self._transaction(lines)

    async def counted(self) -> dict[str, int]:
        """New connections from listed addresses, and packets from unlisted ones."""
        table = await self._listing()
        suffix = f"_{self._port.number}"
        counters = table.counters.items() if table else ()
        return {
            name.removesuffix(suffix): int(body["packets"])
            for name, body in counters
            if name.endswith(suffix)
        }

    async def packets(self) -> dict[Address, int]:
        """New connections from each listed address, of all ports of the table."""
        table = await self._listing()
        return self._elements(table).packets if table else {}

    async def open(self, seconds: float) -> None:
        """Let everybody in for so long, zero ends it; the kernel ends it if we cannot."""
        await self._transaction(opening(self._port.number, seconds))

    async def opened(self) -> float:
        """For how many seconds more everybody is let in."""
        table = await self._listing()
        return table.ports(OPEN).get(self._port.number, 0.0) if table else 0.0

    async def uninstall(self) -> None:
        """Delete the table; what it restricted is open then."""
        if await self.read() is not None:
            await self._nft.run(self.name, "delete", "table", "inet", TABLE)

    def script(self, table: Listing | None) -> list[str]:
        """The lines of a transaction that make of this table what it should be."""
        rules = table is None or self._form(table) != self.form
        left_over = self._left_over(table) if table else ()
        return table_script(self._port, rules=rules, left_over=left_over)

    def _form(self, table: Listing) -> str:
        if table.dormant:
            return DORMANT
        if self._left_over(table):
            return LEFT_OVER
        rules = table.rules_of(self._port.chain)
        comments = {rule.get("comment", "") for rule in rules}
        accepts = table.chains.get(self._port.chain, {}).get("policy") == "accept"
        whole = len(rules) == len(self._port.rules()) and len(comments) == 1
        same_sets = table.sets.keys() == {*SETS.values(), *KNOCKS.values(), OPEN}
        if not (whole and accepts and same_sets):
            return INCOMPLETE
        sizes = {table.sets[name].get("size") for name in SETS.values()}
        return str(comments.pop()) if sizes == {self._port.size} else RESIZED

    def _left_over(self, table: Listing) -> Sequence[str]:
        """Chains that nobody configured: they would go on dropping there."""
        if not self._chains:
            return ()
        return [name for name in table.chains if name not in self._chains]

    def _elements(self, table: Listing) -> Elements:
        try:
            return table.elements(*SETS.values())
        except ValueError as error:
            raise TargetError(self.name, str(error)) from error

    async def _listing(self) -> Listing | None:
        words = ("list", "table", "inet", TABLE)
        try:
            table = listed(await self._nft.run(self.name, "-j", *words))
        except NothingThereError:
            return None
        except ValueError as error:
            # nft 1.0.6 prints no JSON for a table with a flag
            if "flags dormant" in await self._nft.run(self.name, *words):
                return Listing(True, {}, {}, {}, ())
            raise TargetError(self.name, str(error)) from error
        if any(body.get("comment") != MARK for body in table.sets.values()):
            raise TargetError(self.name, f"the table {WHERE} is not ours; delete or rename it")
        return table

    async def _transaction(self, lines: Sequence[str]) -> None:
        await self._nft.run(self.name, "-f", "-", stdin="\n".join(lines) + "\n")
