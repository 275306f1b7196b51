"""Rules of an AWS security group: one for each address, on one TCP port.

The group and its other rules are the operator's; ours are those whose description begins with our
mark. EC2 cannot replace rules in one step, so the new ones are authorized first, read back, and
only then the old ones revoked, by their ids. Where the group has no room for that, old rules become
new ones in place. No rule that is wanted is ever revoked.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from scheduler.allowlist.addresses import Address, in_order
from scheduler.allowlist.ec2 import Ec2, Ec2Error, cidr, description, newest_epoch
from scheduler.allowlist.group_rules import MARK, QUOTA, Rule, of_family, plan_rules
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.targets import ANYTIME, LeaseLostError, Permit, Remark, TargetError

ATTEMPTS = 5
"""To change a group that somebody else changes as well."""
EDITED = "edited"
"""The form of a group with a rule of ours that is not as we write it."""
FULL = "RulesPerSecurityGroupLimitExceeded"
CHANGED_MEANWHILE = frozenset(
    {
        "InvalidPermission.Duplicate",
        "InvalidPermission.NotFound",
        "InvalidSecurityGroupRuleId.NotFound",
        FULL,
    }
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: how long EC2 may not show what it has done, and how long until the next look."""

    patience: float = 30.0
    pause: float = 1.0


class SecurityGroupTarget:
    """Our rules of one group; `max_rules` is the account's quota for each family of addresses."""

    timed = False
    shared = True
    versions = frozenset({4, 6})

    def __init__(
        self, ec2: Ec2, *, group: str, port: int, max_rules: int, pace: Pace | None = None
    ) -> None:
        self._ec2 = ec2
        self._group = group
        self._port = port
        self._max_rules = max_rules
        self._pace = pace or Pace()
        self.form = f"port-{port}"
        self.name = f"aws-security-group:{group}:{port}"

    async def read(self) -> Current | None:
        """Whom our rules let in."""
        ours = [rule for rule in await self._rules() if rule.ours]
        if not ours:
            return None
        found = [rule.address for rule in ours if rule.address]
        return Current(dict.fromkeys(found), self.form if len(found) == len(ours) else EDITED)

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Authorize, read back, revoke."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        await self._make(in_order(wish), permit)

    async def counted(self) -> dict[str, int]:
        """A security group counts nothing."""
        return {}

    async def uninstall(self) -> None:
        """Revoke our rules, and no other."""
        await self._make((), ANYTIME)

    async def examine(self) -> Sequence[Remark]:
        """Whether the rights are those that are needed, who else opens the port, and the room."""
        found, rules = [], await self._rules()
        for operation in ("authorize_security_group_ingress", "revoke_security_group_ingress"):
            if not await self._may(operation, IpPermissions=[self._permission(["192.0.2.0/32"])]):
                cure = "Allow it on this group: deploy/aws/security-group.json"
                found.append(Remark("problem", f"{operation} is not allowed", cure))
        if await self._may("delete_security_group"):
            cure = "Give the scheduler deploy/aws/security-group.json and nothing more"
            found.append(Remark("warning", f"{self._group} might even be deleted", cure))
        if any(r.here and not r.ours and r.network and not r.network.prefixlen for r in rules):
            cure = "Delete it once the list is right: as long as it is there, everybody comes in"
            found.append(Remark("warning", f"another rule opens {self._port} to the world", cure))
        for version in (4, 6):
            room = self._max_rules - len(of_family(version, rules))
            text = f"{self._group} has room for {room} more IPv{version} rules of {self._max_rules}"
            found.append(Remark("ok" if room > 0 else "warning", text, "" if room > 0 else QUOTA))
        return found

    async def _may(self, operation: str, **parameters: Any) -> bool:
        try:
            return await self._ec2.may(operation, GroupId=self._group, **parameters)
        except Ec2Error as error:
            raise TargetError(self.name, str(error)) from error

    async def _make(self, wanted: Sequence[Address], permit: Permit) -> None:
        first: int | None = None
        full = False
        for attempt in range(ATTEMPTS):
            rules = await self._rules()
            newest = newest_epoch(rule.description for rule in rules)
            first = newest if first is None else first
            if newest > max(first, permit.epoch):
                raise LeaseLostError(self.name, "stopped: a newer leader has written here")
            try:
                await self._change(rules, wanted, permit, full=full)
            except Ec2Error as error:
                if error.code not in CHANGED_MEANWHILE or (full and error.code == FULL):
                    raise TargetError(self.name, str(error)) from error
                full = full or error.code == FULL  # the quota is lower than max_rules says
                await asyncio.sleep(self._pace.pause * attempt)
            else:
                return
        raise TargetError(self.name, f"was changed by somebody else {ATTEMPTS} times in a row")

    async def _change(
        self, rules: Sequence[Rule], wanted: Sequence[Address], permit: Permit, *, full: bool
    ) -> None:
        """Raises Ec2Error: nothing, or some of the calls; TargetError: not all of it can be."""
        change = plan_rules(rules, wanted, quota=0 if full else self._max_rules)
        words = description(plan=permit.plan, epoch=permit.epoch)
        if change.authorize:
            permit.demand(self.name)
            await self._ec2.call(
                "authorize_security_group_ingress",
                GroupId=self._group,
                IpPermissions=[self._permission(map(cidr, change.authorize), words)],
            )
        if change.replace:
            permit.demand(self.name)
            await self._ec2.call(
                "modify_security_group_rules",
                GroupId=self._group,
                SecurityGroupRules=[
                    {"SecurityGroupRuleId": old, "SecurityGroupRule": self._rule(new, words)}
                    for old, new in change.replace.items()
                ],
            )
        await self._see([*change.authorize, *change.replace.values()], gone=())
        if change.revoke:
            permit.demand(self.name)
            await self._ec2.call(
                "revoke_security_group_ingress",
                GroupId=self._group,
                SecurityGroupRuleIds=change.revoke,
            )
            await self._see((), gone=change.revoke)
        if problem := change.problem(self._port):
            raise TargetError(self.name, problem)

    async def _see(self, addresses: Collection[Address], *, gone: Collection[str]) -> None:
        """Wait until EC2 shows our rules for all of these addresses, and none with these ids."""
        if not addresses and not gone:
            return
        deadline = asyncio.get_running_loop().time() + self._pace.patience
        while True:
            ours = [rule for rule in await self._rules() if rule.ours]
            missing = set(addresses) - {rule.address for rule in ours}
            still = [rule for rule in ours if rule.id in gone]
            if not missing and not still:
                return
            if asyncio.get_running_loop().time() >= deadline:
                why = f"{len(missing)} new rules cannot be read back, {len(still)} old ones still"
                raise TargetError(self.name, f"{why} can, after {self._pace.patience:g} s")
            await asyncio.sleep(self._pace.pause)

    async def _rules(self) -> list[Rule]:
        try:
            # of a group that is gone there are no rules, which looks like a group without any
            await self._ec2.call("describe_security_groups", GroupIds=[self._group])
            found = await self._ec2.pages(
                "describe_security_group_rules",
                "SecurityGroupRules",
                Filters=[{"Name": "group-id", "Values": [self._group]}],
                MaxResults=1000,
            )
        except Ec2Error as error:
            if error.code.startswith("InvalidGroup"):
                why = f"{self._group} is not there, or in another region; we never make it"
                raise TargetError(self.name, why) from error
            raise TargetError(self.name, str(error)) from error
        return [self._read(raw) for raw in found if not raw["IsEgress"]]

    def _read(self, raw: Mapping[str, Any]) -> Rule:
        text = raw.get("CidrIpv4") or raw.get("CidrIpv6")
        ports = {raw.get("FromPort"), raw.get("ToPort")}
        return Rule(
            raw["SecurityGroupRuleId"],
            ip_network(text, strict=False) if text else None,
            raw.get("IpProtocol") == "tcp" and ports == {self._port},
            raw.get("Description", ""),
        )

    def _permission(self, cidrs: Iterable[str], words: str = MARK) -> dict[str, Any]:
        permission: dict[str, Any] = {"IpProtocol": "tcp"}
        permission |= {"FromPort": self._port, "ToPort": self._port}
        for text in cidrs:
            ranges, key = ("Ipv6Ranges", "CidrIpv6") if ":" in text else ("IpRanges", "CidrIp")
            permission.setdefault(ranges, []).append({key: text, "Description": words})
        return permission

    def _rule(self, address: Address, words: str) -> dict[str, Any]:
        ports = {"FromPort": self._port, "ToPort": self._port}
        network = {f"CidrIpv{address.version}": cidr(address)}
        return {"IpProtocol": "tcp", **ports, **network, "Description": words}
