"""Any other firewall: programs of the operator read it and write it; docs/targets.md has examples.

`read` prints what is admitted now, nothing if nothing of ours is there. `apply` is given the whole
list on its standard input, and must leave every address admitted that is in the old and in the new
list. `dry_run` is given the same before, and must change nothing. Each ends with 0 where it did
what it should; `apply` with 75 where somebody else changed the list meanwhile, and is then begun
anew from what `read` says. None is ever given an empty list.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from scheduler.allowlist.addresses import in_order
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.programs import Ended, ProgramError, run
from scheduler.allowlist.targets import ANYTIME, Permit, Remark, TargetError

CHANGED_MEANWHILE = 75
"""EX_TEMPFAIL of sysexits.h."""
ATTEMPTS = 3
"""Of one apply, where the list was changed meanwhile each time."""
Network = IPv4Network | IPv6Network

VERSION = 1
"""Of the JSON that programs are given."""
EDITED = "edited"
"""The form of a list that holds a network, which we never write."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The operator's programs, each as words; `dry_run` and `remove` may be none."""

    read: Sequence[str]
    apply: Sequence[str]
    dry_run: Sequence[str] = ()
    remove: Sequence[str] = ()


class CommandTarget:
    """One firewall behind programs. `form` is how lists are written: plain or json."""

    timed = False

    def __init__(
        self, name: str, programs: Programs, *, form: str, within: float, shared: bool
    ) -> None:
        self._programs = programs
        self._within = within
        self.form = form
        self.shared = shared
        self.name = f"command:{name}"

    async def read(self) -> Current | None:
        """What `read` prints."""
        networks = await self._there()
        if not networks:
            return None
        single = [n.network_address for n in networks if _single(n)]
        form = self.form if len(single) == len(networks) else EDITED
        return Current(dict.fromkeys(single), form)

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Give the list to `dry_run`, then to `apply`."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        for _ in range(ATTEMPTS):
            given = self._given(wish, await self._there(), permit)
            permit.demand(self.name)
            await self._rehearse(given)
            permit.demand(self.name)
            ended = await self._run(self._programs.apply, given, accept=CHANGED_MEANWHILE)
            if ended.code == 0:
                return
        why = f"{self._programs.apply[0]} said {ATTEMPTS} times that the list was changed meanwhile"
        raise TargetError(self.name, f"{why}; who else writes it?")

    async def counted(self) -> dict[str, int]:
        """Programs count nothing for us."""
        return {}

    async def uninstall(self) -> None:
        """Run `remove`, where something of ours is there."""
        if await self.read() is None:
            return
        if not self._programs.remove:
            raise TargetError(self.name, "has no `remove`; take the list away there by hand")
        await self._run(self._programs.remove)

    async def examine(self) -> Sequence[Remark]:
        """Whether `dry_run` takes the list that is there now, where there is one."""
        there = [n.network_address for n in await self._there() if _single(n)]
        if not (there and self._programs.dry_run):
            return []
        try:
            await self._rehearse(self._given(dict.fromkeys(there), (), ANYTIME))
        except TargetError as error:
            cure = "See what the program needs: its rights, its credentials"
            return [Remark("problem", f"dry_run failed: {error.why}", cure)]
        return [Remark("ok", "dry_run takes the list that is there")]

    async def _there(self) -> list[Network]:
        text = (await self._run(self._programs.read)).output.decode(errors="replace")
        try:
            values = _json(text) if self.form == "json" else _plain(text)
            return list(dict.fromkeys(ip_network(value) for value in values))
        except (ValueError, RecursionError) as error:
            why = f"{self._programs.read[0]} printed what is no list: {error}"
            raise TargetError(self.name, why[:300]) from error

    async def _rehearse(self, given: bytes) -> None:
        if self._programs.dry_run:
            await self._run(self._programs.dry_run, given)

    def _given(self, wish: Wish, there: Sequence[Network], permit: Permit) -> bytes:
        wanted = in_order(wish)
        if self.form == "plain":
            return "".join(f"{address}\n" for address in wanted).encode()
        kept = {n.network_address for n in there if _single(n)} & wish.keys()
        value = {
            "version": VERSION,
            "target": self.name,
            "plan": permit.plan,
            "epoch": permit.epoch,
            "addresses": [str(address) for address in wanted],
            "add": [str(address) for address in wanted if address not in kept],
            "remove": [
                str(n.network_address if _single(n) else n)
                for n in there
                if not (_single(n) and n.network_address in kept)
            ],
        }
        return json.dumps(value).encode() + b"\n"

    async def _run(self, words: Sequence[str], stdin: bytes = b"", *, accept: int = 0) -> Ended:
        try:
            ended = await run(words, within=self._within, stdin=stdin)
            if ended.code != accept:
                ended.demand_success()
        except ProgramError as error:
            raise TargetError(self.name, str(error)) from error
        return ended


def _single(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen


def _plain(text: str) -> list[str]:
    """One a line; empty lines and what is behind a # are nothing."""
    words = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [word for word in words if word]


def _json(text: str) -> list[str]:
    """A list of texts, or an object with one under `addresses`; no text at all is an empty one.

    Raises:
        ValueError: it is neither.
    """
    value: Any = json.loads(text) if text.strip() else []
    found = value.get("addresses") if isinstance(value, dict) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError("neither a list of texts nor an object with one under addresses")
    return found
