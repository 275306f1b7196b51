"""The kernel's packet filter: the table `inet agora_sidecar`, made once, then only its contents.

One transaction for every change: `flush set` and `add element` together lose no packet and let no
stranger in, while making a table or a chain anew does both, even in one transaction. Active
addresses are permanent elements; retiring ones carry their remaining time, so that the kernel ends
it even if we are dead. Every rule begins with the match of the one port, as the packets are
addressed before any redirect. The table can only restrict: another chain's drop still drops.

It stays in place when we stop. Needs CAP_NET_ADMIN and the program `nft`.
"""

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.targets import ANYTIME, Permit, TargetError

TABLE = "agora_sidecar"
MARK = "agora-sidecar"
"""Comment of our sets: a table of this name without it is not ours."""
SETS = {4: "ncs4", 6: "ncs6"}
TIMEOUT = 5.0
"""Seconds for one `nft`; a replacement takes about 20 ms."""
LEFT_OVER = "with a port that is not configured"
"""The form of a table that still filters a port of an earlier configuration."""
SHORTEST_MS = 1000
"""An element's remaining time is never written as less than this, or it might be gone unread."""


class NftablesTarget:
    """One port's filter. `mode` is observe (count the unlisted) or enforce (drop them).

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
        ports: Collection[int] = (),
        program: str = "nft",
    ) -> None:
        self._port = port
        self._mode = mode
        self._ports = frozenset(ports)
        self._size = 2 * max_entries
        self._program = program
        self._chain = f"port_{port}"
        self.name = f"nftables:{port}"
        self.form = f"{mode}-{sha256(self._rules().encode()).hexdigest()[:8]}"

    async def read(self) -> Current | None:
        """What the kernel has."""
        table = await self._table()
        if table is None:
            return None
        sets = {item["name"]: item for item in table if item["_"] == "set"}
        self._demand_ours(sets.values())
        admitted = self._elements(sets)
        comments = [r.get("comment", "") for r in table if self._is_rule_of_ours(r)]
        whole = len(comments) == len(self._rules().splitlines()) and sets.keys() == set(
            SETS.values()
        )
        accepts = any(item.get("policy") == "accept" for item in table if self._is_chain(item))
        forms = set(comments)
        form = forms.pop() if whole and accepts and len(forms) == 1 else "incomplete"
        return Current(admitted, LEFT_OVER if self._left_over(table) else form)

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Everything in one transaction; nothing changes if the kernel refuses any of it."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        permit.demand(self.name)
        current = await self.read()
        rules = current is None or current.form != self.form
        left_over = self._left_over(await self._table() or []) if rules else []
        await self._nft("-f", "-", stdin=self.script(wish, rules=rules, left_over=left_over))

    async def counted(self) -> dict[str, int]:
        """New connections from listed addresses, and packets from unlisted ones."""
        table = await self._table() or []
        return {
            item["name"].removesuffix(f"_{self._port}"): item["packets"]
            for item in table
            if item["_"] == "counter" and item["name"].endswith(f"_{self._port}")
        }

    async def uninstall(self) -> None:
        """Delete the table; what it restricted is open then."""
        if await self.read() is not None:
            await self._nft("delete", "table", "inet", TABLE)

    def script(self, wish: Wish, *, rules: bool, left_over: Iterable[str] = ()) -> str:
        """The transaction: what is there already is added again, which changes nothing."""
        where = f"inet {TABLE}"
        lines = [f"add table {where}"]
        for version, name in SETS.items():
            lines.append(
                f"add set {where} {name} {{ type ipv{version}_addr; flags timeout; "
                f'size {self._size}; comment "{MARK}"; }}'
            )
        lines += [f"add counter {where} {name}_{self._port}" for name in ("listed", "unlisted")]
        lines.append(
            f"add chain {where} {self._chain} "
            "{ type filter hook prerouting priority mangle; policy accept; }"
        )
        if rules:
            lines.append(f"flush chain {where} {self._chain}")
            lines += [
                f'add rule {where} {self._chain} {rule} comment "{self.form}"'
                for rule in self._rules().splitlines()
            ]
        lines += [f"delete chain {where} {chain}" for chain in left_over]
        for version, name in SETS.items():
            lines.append(f"flush set {where} {name}")
            if elements := _elements(wish, version):
                lines.append(f"add element {where} {name} {{ {elements} }}")
        return "\n".join(lines) + "\n"

    def _rules(self) -> str:
        port = f"meta l4proto tcp ct original proto-dst {self._port}"
        unlisted = {
            "observe": f"ct state new counter name unlisted_{self._port} accept",
            "enforce": f"counter name unlisted_{self._port} drop",
        }[self._mode]
        listed = f"counter name listed_{self._port} accept"
        return "\n".join(
            f"{port} {rest}"
            for rest in (
                "ct state established,related accept",
                "ip saddr 127.0.0.0/8 accept",
                "ip6 saddr ::1 accept",
                f"ip saddr @{SETS[4]} {listed}",
                f"ip6 saddr @{SETS[6]} {listed}",
                unlisted,
            )
        )

    def _elements(self, sets: Mapping[str, dict[str, Any]]) -> dict[Address, float | None]:
        raws = [raw for name in SETS.values() for raw in sets.get(name, {}).get("elem", ())]
        try:
            return dict(_element(raw) for raw in raws)
        except (ValueError, LookupError, TypeError) as error:
            raise TargetError(self.name, f"its sets hold what is no address: {error!r}") from error

    def _left_over(self, table: Iterable[dict[str, Any]]) -> list[str]:
        """Chains of ports that nobody configured any more: they would go on dropping there."""
        if not self._ports:
            return []
        wanted = {f"port_{port}" for port in self._ports}
        chains = [item["name"] for item in table if item["_"] == "chain"]
        return [name for name in chains if name.startswith("port_") and name not in wanted]

    def _is_chain(self, item: dict[str, Any]) -> bool:
        return bool(item["_"] == "chain" and item["name"] == self._chain)

    def _is_rule_of_ours(self, item: dict[str, Any]) -> bool:
        return bool(item["_"] == "rule" and item["chain"] == self._chain)

    def _demand_ours(self, sets: Iterable[dict[str, Any]]) -> None:
        if any(item.get("comment") != MARK for item in sets):
            raise TargetError(self.name, f"the table inet {TABLE} is not ours; delete or rename it")

    async def _table(self) -> list[dict[str, Any]] | None:
        try:
            output = await self._nft("-j", "list", "table", "inet", TABLE)
        except _NoTableError:
            return None
        try:
            found = json.loads(output)["nftables"]
            return [{"_": kind, **body} for item in found for kind, body in item.items()]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise TargetError(self.name, f"nft's answer cannot be read: {error!r}") from error

    async def _nft(self, *arguments: str, stdin: str = "") -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *(self._program, *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            why = f"{self._program} cannot be run ({error.strerror}); install nftables"
            raise TargetError(self.name, why) from error
        try:
            async with asyncio.timeout(TIMEOUT):
                output, errors = await process.communicate(stdin.encode())
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise TargetError(self.name, f"nft took more than {TIMEOUT:.0f} s") from error
        if process.returncode:
            raise self._failed(errors.decode(errors="replace").strip())
        return output.decode(errors="replace")

    def _failed(self, said: str) -> TargetError:
        if "No such file or directory" in said and "list table" not in said[:20]:
            return _NoTableError(self.name, said[-200:])
        if "Operation not permitted" in said:
            return TargetError(self.name, "not permitted: the process needs CAP_NET_ADMIN")
        if "Too many open files in system" in said:
            why = "the kernel's set is full; after raising max_entries, uninstall and apply again"
            return TargetError(self.name, f"nft refused: {why}")
        return TargetError(self.name, f"nft refused: {said[-300:]}")


class _NoTableError(TargetError):
    """The kernel has no such table."""


def _elements(wish: Wish, version: int) -> str:
    parts = []
    for address, left in wish.items():
        if address.version == version:
            parts.append(str(address) if left is None else f"{address} timeout {_duration(left)}")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    milliseconds = max(SHORTEST_MS, int(seconds * 1000))
    return f"{milliseconds // 1000}s{milliseconds % 1000}ms"


def _element(raw: Any) -> tuple[Address, float | None]:
    """`"192.0.2.1"`, or `{"elem": {"val": "192.0.2.1", "timeout": 5, "expires": 4}}`."""
    if isinstance(raw, str):
        return ip_address(raw), None
    inner = raw["elem"]
    timed = "timeout" in inner
    return ip_address(inner["val"]), float(inner.get("expires", 0)) if timed else None
