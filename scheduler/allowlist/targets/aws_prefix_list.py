"""A customer-managed prefix list of AWS, or two of them: one for each family of addresses.

The operator makes the list, tags it `agora-sidecar`, and names it where traffic is let in. It is
filled and emptied by us alone: everything in it is ours. One call adds and removes in one step,
against the version that was read; a list of more changes than one call takes is added to first.
Whoever wrote meanwhile, it is read and planned anew. It is never made, deleted or resized by us: a
list that is gone is an alarm.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.ec2 import Ec2, Ec2Error, cidr, description, newest_epoch
from scheduler.allowlist.group_rules import MARK
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.targets import ANYTIME, LeaseLostError, Permit, Remark, TargetError

AT_ONCE = 100
"""Entries that one call may add and remove."""
ATTEMPTS = 5
"""To change a list that somebody else changes as well."""
FORM = "prefix-list"
EDITED = "edited"
"""The form of a list that holds a network, which we never write."""
CHANGED_MEANWHILE = frozenset({"PrefixListVersionMismatch", "IncorrectState"})
GONE = frozenset({"InvalidPrefixListID.NotFound", "InvalidPrefixListId.NotFound"})

_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: how long a change may take at AWS, and how long to wait before looking again."""

    patience: float = 60.0
    pause: float = 1.0


@dataclass(frozen=True, slots=True)
class _Look:
    """One list at one version."""

    version: int
    max_entries: int
    entries: Mapping[str, str]
    """Network -> description."""

    @property
    def networks(self) -> dict[_Network, str]:
        """The same by network, so that no writing of it matters."""
        return {ip_network(text): text for text in self.entries}


class PrefixListTarget:
    """The prefix lists with these ids; addresses of a family without one have no place here."""

    timed = False
    shared = True
    form = FORM

    def __init__(
        self, ec2: Ec2, *, ipv4: str = "", ipv6: str = "", pace: Pace | None = None
    ) -> None:
        self._ec2 = ec2
        self._lists = {version: name for version, name in ((4, ipv4), (6, ipv6)) if name}
        self._pace = pace or Pace()
        self.versions = frozenset(self._lists)
        self.name = f"aws-prefix-list:{'+'.join(self._lists.values())}"

    async def read(self) -> Current | None:
        """What both lists hold, at their newest version."""
        networks: list[_Network] = []
        for version in self._lists:
            networks += (await self._look(version)).networks
        if not networks:
            return None
        single = [n.network_address for n in networks if n.prefixlen == n.max_prefixlen]
        return Current(dict.fromkeys(single), FORM if len(single) == len(networks) else EDITED)

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Fill each list; one of several calls is added to before anything is removed."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        for version in self._lists:
            wanted = [address for address in wish if address.version == version]
            await self._fill(version, wanted, permit)

    async def counted(self) -> dict[str, int]:
        """A prefix list counts nothing."""
        return {}

    async def uninstall(self) -> None:
        """Empty the lists: whatever names them lets nobody in by them."""
        for version in self._lists:
            await self._fill(version, (), ANYTIME)

    async def examine(self) -> Sequence[Remark]:
        """Whether the rights are those that are needed, and whether there is room."""
        found: list[Remark] = []
        for version, prefix_list in self._lists.items():
            look = await self._look(version)
            if not await self._may("modify_managed_prefix_list", prefix_list):
                cure = "Allow ec2:ModifyManagedPrefixList on it: deploy/aws/prefix-list.json"
                found.append(Remark("problem", f"{prefix_list} may not be changed", cure))
            if await self._may("delete_managed_prefix_list", prefix_list):
                cure = "Give the scheduler deploy/aws/prefix-list.json and nothing more"
                found.append(Remark("warning", f"{prefix_list} might even be deleted", cure))
            room = look.max_entries - len(look.entries)
            text = f"{prefix_list} has room for {room} more of {look.max_entries} entries"
            found.append(Remark("ok", text) if room > 0 else Remark("warning", text, _RESIZE))
        return found

    async def _may(self, operation: str, prefix_list: str) -> bool:
        try:
            return await self._ec2.may(operation, PrefixListId=prefix_list)
        except Ec2Error as error:
            raise TargetError(self.name, str(error)) from error

    async def _fill(self, version: int, wanted: Sequence[Address], permit: Permit) -> None:
        first: int | None = None
        for attempt in range(ATTEMPTS):
            look = await self._look(version)
            newest = newest_epoch(look.entries.values())
            first = newest if first is None else first
            if newest > max(first, permit.epoch):
                raise LeaseLostError(self.name, "stopped: a newer leader has written here")
            try:
                await self._change(version, look, wanted, permit)
            except Ec2Error as error:
                if error.code not in CHANGED_MEANWHILE:
                    raise TargetError(self.name, str(error)) from error
                await asyncio.sleep(self._pace.pause * attempt)
            else:
                return
        raise TargetError(self.name, f"was changed by somebody else {ATTEMPTS} times in a row")

    async def _change(
        self, version: int, look: _Look, wanted: Sequence[Address], permit: Permit
    ) -> None:
        """Raises Ec2Error: nothing, or some of the calls; TargetError: it cannot be."""
        if len(wanted) > look.max_entries:
            why = f"{self._lists[version]} takes {look.max_entries} entries, not {len(wanted)}"
            raise TargetError(self.name, f"{why}. {_RESIZE}")
        there, wish = look.networks, {ip_network(address): address for address in wanted}
        add = [cidr(address) for network, address in wish.items() if network not in there]
        remove = [text for network, text in there.items() if network not in wish]
        words = description(plan=permit.plan, epoch=permit.epoch)
        at = look.version
        for adds, removes in calls(add, remove, room=look.max_entries - len(there)):
            permit.demand(self.name)
            changes: dict[str, Any] = {}
            if adds:
                changes["AddEntries"] = [{"Cidr": text, "Description": words} for text in adds]
            if removes:
                changes["RemoveEntries"] = [{"Cidr": text} for text in removes]
            await self._ec2.call(
                "modify_managed_prefix_list",
                PrefixListId=self._lists[version],
                CurrentVersion=at,
                **changes,
            )
            at = (await self._settled(version, after=at))["Version"]

    async def _look(self, version: int) -> _Look:
        try:
            found = await self._settled(version)
            entries = await self._ec2.pages(
                "get_managed_prefix_list_entries",
                "Entries",
                PrefixListId=self._lists[version],
                TargetVersion=found["Version"],
            )
        except Ec2Error as error:
            raise TargetError(self.name, str(error)) from error
        described = {entry["Cidr"]: entry.get("Description", "") for entry in entries}
        return _Look(found["Version"], found["MaxEntries"], described)

    async def _settled(self, version: int, *, after: int = 0) -> Mapping[str, Any]:
        """The list once nobody changes it any more, at a version newer than `after`."""
        deadline = asyncio.get_running_loop().time() + self._pace.patience
        while True:
            found = await self._described(version)
            state = found.get("State", "")
            if after and state == "modify-failed":
                why = f"AWS could not change it: {found.get('StateMessage', 'it does not say why')}"
                raise TargetError(self.name, why)
            if not state.endswith("-in-progress") and found["Version"] > after:
                return found
            if asyncio.get_running_loop().time() >= deadline:
                raise TargetError(self.name, f"is {state} for {self._pace.patience:g} s")
            await asyncio.sleep(self._pace.pause)

    async def _described(self, version: int) -> Mapping[str, Any]:
        prefix_list = self._lists[version]
        try:
            answer = await self._ec2.call(
                "describe_managed_prefix_lists", PrefixListIds=[prefix_list]
            )
        except Ec2Error as error:
            if error.code not in GONE:
                raise TargetError(self.name, str(error)) from error
            answer = {"PrefixLists": []}
        if not answer.get("PrefixLists"):
            why = f"{prefix_list} is not there, or in another region; we never make it"
            raise TargetError(self.name, why)
        found: Mapping[str, Any] = answer["PrefixLists"][0]
        if all(tag["Key"] != MARK for tag in found.get("Tags", ())):
            why = f"{prefix_list} has no tag {MARK}: tag it, and all that is in it is ours"
            raise TargetError(self.name, why)
        if found.get("AddressFamily") != f"IPv{version}":
            raise TargetError(self.name, f"{prefix_list} is one of {found.get('AddressFamily')}")
        return found


_RESIZE = "Raise its MaxEntries, which counts against quotas where it is named"


def calls(
    add: Sequence[str], remove: Sequence[str], *, room: int
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """What each call adds and removes: all at once if it fits, else adding while there is room."""
    while add or remove:
        if len(add) + len(remove) <= AT_ONCE:
            yield add, remove
            return
        adds, removes = add[: min(AT_ONCE, room)], remove[:0]
        if len(adds) == len(add):
            removes = remove[: AT_ONCE - len(adds)]
        elif not adds:
            removes = remove[: AT_ONCE // 2]
            adds = add[: len(removes)]
        yield adds, removes
        add, remove = add[len(adds) :], remove[len(removes) :]
        room += len(removes) - len(adds)
