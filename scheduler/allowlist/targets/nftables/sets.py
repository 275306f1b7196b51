"""The target that fills sets which the operator made, and whose rules use them as they like.

The sets are the operator's, their elements ours: others that stand there are taken out, as two who
write one set only race. Nothing is made and nothing is deleted: a set that is missing is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.targets import ANYTIME, Permit, TargetError
from scheduler.allowlist.targets.nftables.listing import Elements, Listing, listed
from scheduler.allowlist.targets.nftables.program import Nft, NothingThereError
from scheduler.allowlist.targets.nftables.script import difference, of_version, replacement


class SetsTarget:
    """Two sets, each named by family, table and name, such as `inet filter agora4`.

    They need `flags timeout`, so that the kernel ends a grace if we cannot, and no default
    `timeout`, which would end everybody.
    """

    timed = True
    shared = False
    form = "filled"

    def __init__(self, *, set4: str, set6: str, program: Nft | None = None) -> None:
        self._names = {version: name for version, name in ((4, set4), (6, set6)) if name}
        self._nft = program or Nft()
        self.name = f"nftables-set:{set4 or set6}"

    async def read(self) -> Current | None:
        """Who is in them, None if nobody."""
        there = await self._elements()
        return Current(there.left, self.form) if there.left else None

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Fill them in one transaction; nothing changes if the kernel refuses any of it."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        permit.demand(self.name)
        if missing := [a for a in wish if a.version not in self._names]:
            why = f"there is no set for {missing[0]}: configure set{missing[0].version} as well"
            raise TargetError(self.name, why)
        there = await self._elements()
        try:
            await self._transaction(self._script(wish, there))
        except NothingThereError:  # an element ended by itself meanwhile
            parts = (
                replacement(name, of_version(wish, version), there.packets)
                for version, name in self._names.items()
            )
            await self._transaction(chain.from_iterable(parts))

    async def counted(self) -> dict[str, int]:
        """What passes is counted by the operator's rules, if at all."""
        return {}

    async def packets(self) -> Mapping[Address, int]:
        """Packets from each address, where the sets have counters."""
        return (await self._elements()).packets

    async def uninstall(self) -> None:
        """Empty the sets; the operator's rules decide what that means."""
        for name in self._names.values():
            await self._nft.run(self.name, "flush", "set", *name.split())

    def _script(self, wish: Wish, there: Elements) -> Iterator[str]:
        for version, name in self._names.items():
            before = of_version(there.left, version)
            yield from difference(name, before, of_version(wish, version), there.packets)

    async def _elements(self) -> Elements:
        found = Elements()
        for version, name in self._names.items():
            listing = await self._listing(version, name)
            part = listing.elements(name.split()[-1])
            found.left.update(part.left)
            found.packets.update(part.packets)
        return found

    async def _listing(self, version: int, name: str) -> Listing:
        spec = f"'{{ type ipv{version}_addr; flags timeout; }}'"
        try:
            listing = listed(await self._nft.run(self.name, "-j", "list", "set", *name.split()))
            (body,) = listing.sets.values()
        except NothingThereError as error:
            why = f"the set is not there; make it: nft add set {name} {spec}"
            raise TargetError(self.name, why) from error
        except ValueError as error:
            raise TargetError(self.name, str(error)) from error
        if body.get("type") != f"ipv{version}_addr" or "timeout" not in body.get("flags", ()):
            raise TargetError(self.name, f"the set {name} must be made with {spec}")
        if "timeout" in body or await self._merges(body, name):
            why = "must have no default timeout and no auto-merge: both end addresses too early"
            raise TargetError(self.name, f"the set {name} {why}")
        return listing

    async def _merges(self, body: dict[str, Any], name: str) -> bool:
        if "interval" not in body["flags"]:
            return False
        # nft 1.0.6 leaves it out of its JSON
        return "auto-merge" in await self._nft.run(self.name, "list", "set", *name.split())

    async def _transaction(self, lines: Iterator[str] | Sequence[str]) -> None:
        if text := "\n".join(lines):
            await self._nft.run(self.name, "-f", "-", stdin=text + "\n")
