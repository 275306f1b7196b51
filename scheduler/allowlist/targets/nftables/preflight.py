"""What others do in the packet filter that makes our list useless or harmful, and the cure. Pure.

An own table can only restrict: where a later chain drops, a listed packet is dropped all the same.
And a port may be redirected: ours is the port as the packets are addressed. Said, never changed.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from scheduler.allowlist.targets.nftables.script import TABLE

HOOKS = ("input", "forward")
MARK = 0xA60
"""The mark that is proposed where none is configured."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What was found, and what to do; `harmful` where listed packets would not get in."""

    text: str
    cure: str
    harmful: bool = False


def remarks(ruleset: str, *, port: int, mark: int = 0) -> list[Remark]:
    """What stands in the whole rule set, as `nft -j list ruleset` prints it, against this port.

    Raises:
        ValueError: it cannot be read.
    """
    found = _Ruleset(ruleset)
    return [
        *_managers(found),
        *_redirects(found, port=port),
        *_drops(found, port=port, mark=mark),
    ]


class _Ruleset:
    """All objects but ours, by kind."""

    def __init__(self, text: str) -> None:
        try:
            items = [pair for item in json.loads(text)["nftables"] for pair in item.items()]
            kept = [(kind, body) for kind, body in items if not _ours(body)]
            self.tables = [body["name"] for kind, body in kept if kind == "table"]
            self.chains = [_placed(body, "name") for kind, body in kept if kind == "chain"]
            self.rules = [_placed(body, "chain") for kind, body in kept if kind == "rule"]
            self.has_docker = any(chain["name"].startswith("DOCKER") for chain in self.chains)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"nft's answer cannot be read: {error!r}") from error

    def rules_of(self, chain: dict[str, Any], name: str = "") -> list[list[dict[str, Any]]]:
        """Of this chain, or of another one beside it."""
        place = (chain["family"], chain["table"], name or chain["name"])
        return [
            rule.get("expr", [])
            for rule in self.rules
            if (rule["family"], rule["table"], rule["chain"]) == place
        ]


def _placed(body: dict[str, Any], name: str) -> dict[str, Any]:
    """The same, if it says where it belongs. Raises LookupError."""
    return body | {key: body[key] for key in ("family", "table", name)}


def _ours(body: dict[str, Any]) -> bool:
    return body.get("table", body.get("name")) == TABLE


def _managers(found: _Ruleset) -> Iterator[Remark]:
    names = {chain["name"] for chain in found.chains}
    if "firewalld" in found.tables:
        cure = "Its reload leaves our table alone; open the port in its zone as well"
        yield Remark("firewalld manages this machine's rules", cure)
    if any(name.startswith("ufw-") for name in names):
        cure = "Its reload leaves our table alone; `ufw allow` the port as well"
        yield Remark("ufw manages this machine's rules", cure)
    if found.has_docker:
        cure = "Give `port` as it is published; published ports do not bypass our list"
        yield Remark("Docker redirects published ports", cure)


def _redirects(found: _Ruleset, *, port: int) -> Iterator[Remark]:
    for rule in found.rules:
        if not _redirects_somewhere(rule.get("expr", [])):
            continue
        place = f"{rule['family']} {rule['table']} {rule['chain']}"
        if _mentions(rule["expr"], "dport", port):
            text = f"port {port} is redirected in {place}"
            yield Remark(text, "Nothing to do: ours is the port as packets are addressed")
        elif any(_target(part) == port for part in rule["expr"]):
            text = f"packets for another port are redirected to {port} in {place}"
            yield Remark(text, "Give the port as the vendor's packets are addressed", harmful=True)


def _drops(found: _Ruleset, *, port: int, mark: int) -> Iterator[Remark]:
    ports = {port, *_arrives_at(found, port)}
    for chain in found.chains:
        if chain.get("hook") not in HOOKS or chain.get("type") != "filter":
            continue
        if chain["hook"] == "forward" and found.has_docker and len(ports) == 1:
            continue  # Docker's own, and Docker lets in what it publishes
        rules = found.rules_of(chain)
        last = rules[-1] if rules else []
        drops = chain.get("policy") == "drop" or any(_verdict(part) for part in last)
        reached = _reached(found, chain)
        if drops and not any(_lets_in(rule, ports=ports, mark=mark) for rule in reached):
            place = f"{chain['family']} {chain['table']} {chain['name']}"
            bits = f"{mark or MARK:#x}"
            wanted = "" if mark else f"set mark = {MARK} for the target and "
            cure = (
                f"Accept the port there, or {wanted}nft insert rule {place} "
                f"meta mark and {bits} == {bits} accept"
            )
            text = f"{place} drops what it does not accept, listed packets too"
            yield Remark(text, cure, harmful=True)


def _arrives_at(found: _Ruleset, port: int) -> Iterator[int]:
    """Ports that packets for this one are redirected to: a later chain sees those."""
    for rule in found.rules:
        if _mentions(rule.get("expr", []), "dport", port):
            yield from (target for part in rule["expr"] if (target := _target(part)))


def _reached(found: _Ruleset, chain: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The rules of this chain and of all that it leads to, as those of ufw and firewalld do."""
    waiting, seen = [chain["name"]], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for rule in found.rules_of(chain, name):
            yield rule
            leads = [part.get("jump") or part.get("goto") for part in rule]
            waiting += [to["target"] for to in leads if isinstance(to, dict) and "target" in to]


def _lets_in(rule: list[dict[str, Any]], *, ports: Collection[int], mark: int) -> bool:
    if not any("accept" in part or "jump" in part or "goto" in part for part in rule):
        return False
    named = any(_mentions(rule, "dport", port) for port in ports)
    accepts = any("accept" in part for part in rule)
    return named or bool(accepts and mark and '"mark"' in json.dumps(rule))


def _mentions(rule: list[dict[str, Any]], field: str, port: int) -> bool:
    for part in rule:
        match = part.get("match", {})
        if f'"{field}"' in json.dumps(match.get("left", "")):
            return _within(match.get("right"), port)
    return False


def _within(right: Any, port: int) -> bool:
    if isinstance(right, dict) and "set" in right:
        return any(_within(item, port) for item in right["set"])
    if isinstance(right, dict) and "range" in right:
        first, last = right["range"]
        return bool(first <= port <= last)
    return bool(right == port)


def _redirects_somewhere(rule: list[dict[str, Any]]) -> bool:
    return any("redirect" in part or "dnat" in part for part in rule)


def _target(part: dict[str, Any]) -> int | None:
    body = part.get("redirect") or part.get("dnat") or {}
    port = body.get("port") if isinstance(body, dict) else None
    return port if isinstance(port, int) else None


def _verdict(part: dict[str, Any]) -> bool:
    return "drop" in part or "reject" in part
