"""Rules of a security group: which are ours, and what makes them one for each address. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from scheduler.allowlist.addresses import Address

MARK = "agora-sidecar"
"""Begins the description of everything in AWS that we write."""
QUOTA = "Raise the quota of rules for each group (and max_rules), or use a prefix list"

_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that lets something in; `network` is None where it is no address range."""

    id: str
    network: _Network | None
    here: bool
    """Whether it is TCP on our one port."""
    description: str

    @property
    def ours(self) -> bool:
        """Whether it bears our mark."""
        return self.description.startswith(MARK)

    @property
    def address(self) -> Address | None:
        """The one address that it lets in, if it is as we write it."""
        network = self.network
        if self.here and network and network.prefixlen == network.max_prefixlen:
            return network.network_address
        return None


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What is to be done to a group, in this order; `replace` is old rule's id -> new address."""

    authorize: list[Address]
    replace: dict[str, Address]
    revoke: list[str]
    crowded_out: list[Address]
    taken: list[Address]

    def problem(self, port: int) -> str:
        """What cannot be done, and what to do about it; empty if all can."""
        if self.crowded_out:
            missing = ", ".join(map(str, self.crowded_out))
            return f"no room for {missing}. {QUOTA}"
        if self.taken:
            text = ", ".join(map(str, self.taken))
            cure = f'delete it, or let its description begin with "{MARK}"'
            return f"another rule lets {text} in to {port} already; {cure}"
        return ""


def plan_rules(rules: Sequence[Rule], wanted: Sequence[Address], *, quota: int) -> RuleChange:
    """The change from these rules to one for each address; `quota`: rules of each family.

    What is new is authorized as far as there is room, then takes the place of what is old.
    """
    there = {rule.address for rule in rules if rule.ours}
    others = {rule.address for rule in rules if not rule.ours}
    taken = [a for a in wanted if a not in there and a in others]
    kept: set[Address] = set()
    change = RuleChange([], {}, [], [], taken)
    for version in (4, 6):
        old = [r for r in of_family(version, rules) if r.ours and _superfluous(r, wanted, kept)]
        new = [a for a in wanted if a.version == version and a not in there and a not in others]
        fits = max(0, quota - len(of_family(version, rules)))
        places = dict(zip((rule.id for rule in old if rule.here), new[fits:], strict=False))
        change.authorize.extend(new[:fits])
        change.replace.update(places)
        change.crowded_out.extend(new[fits:][len(places) :])
        change.revoke.extend(rule.id for rule in old if rule.id not in places)
    # ours by its mark, and no address range at all
    change.revoke.extend(rule.id for rule in rules if rule.ours and rule.network is None)
    return change


def _superfluous(rule: Rule, wanted: Sequence[Address], kept: set[Address]) -> bool:
    """Whether this rule of ours is not wanted, or a second one for the same address."""
    address = rule.address
    if address is None or address not in wanted or address in kept:
        return True
    kept.add(address)
    return False


def of_family(version: int, rules: Sequence[Rule]) -> list[Rule]:
    """Those of one family of addresses; each family has a quota of its own."""
    return [rule for rule in rules if rule.network and rule.network.version == version]
