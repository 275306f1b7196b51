import json
from typing import Any

import pytest

from scheduler.allowlist.readiness import front
from scheduler.allowlist.targets.nftables.preflight import remarks


def chain(name: str, *, table: str = "filter", **hook: Any) -> dict[str, Any]:
    return {"chain": {"family": "ip", "table": table, "name": name, **hook}}


def rule(name: str, *expr: dict[str, Any], table: str = "filter") -> dict[str, Any]:
    return {"rule": {"family": "ip", "table": table, "chain": name, "expr": list(expr)}}


def dport(port: Any) -> dict[str, Any]:
    left = {"payload": {"protocol": "tcp", "field": "dport"}}
    return {"match": {"op": "==", "left": left, "right": port}}


def jump(target: str) -> dict[str, Any]:
    return {"jump": {"target": target}}


INPUT = {"type": "filter", "hook": "input", "prio": 0}
DROPS = chain("INPUT", **INPUT, policy="drop")
ACCEPT: dict[str, Any] = {"accept": None}
ALLOWED = dport(8080)
TO_8443: dict[str, Any] = {"redirect": {"port": 8443}}


def said(*items: dict[str, Any], port: int = 8080, mark: int = 0) -> list[str]:
    found = remarks(json.dumps({"nftables": list(items)}), port=port, mark=mark)
    return [f"{'!' if remark.harmful else ''}{remark.text}" for remark in found]


def test_an_empty_rule_set_and_our_own_table_are_no_remark() -> None:
    ours = chain("port_8080", table="agora_sidecar", **INPUT, policy="drop")
    assert said() == said({"table": {"family": "inet", "name": "agora_sidecar"}}, ours) == []


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ({"table": {"family": "inet", "name": "firewalld"}}, "firewalld"),
        (chain("ufw-before-input"), "ufw"),
        (chain("DOCKER", table="nat"), "Docker"),
    ],
)
def test_who_manages_the_rules_is_named(item: dict[str, Any], word: str) -> None:
    (found,) = said(item)
    assert found.startswith(word)


@pytest.mark.parametrize(
    ("items", "harmful"),
    [
        ([DROPS], True),
        ([DROPS, rule("INPUT", dport(22), ACCEPT)], True),
        ([DROPS, rule("INPUT", dport(8080), ACCEPT)], False),
        ([DROPS, rule("INPUT", dport({"set": [80, 8080]}), ACCEPT)], False),
        ([DROPS, rule("INPUT", dport({"range": [8000, 9000]}), ACCEPT)], False),
        ([DROPS, rule("INPUT", dport(8080), {"jump": {"target": "x"}})], False),
        (
            [DROPS, rule("INPUT", jump("a")), rule("a", jump("b")), rule("b", ALLOWED, ACCEPT)],
            False,
        ),
        ([DROPS, rule("INPUT", jump("a")), rule("a", jump("INPUT")), rule("a", ACCEPT)], True),
        ([DROPS, rule("a", ALLOWED, ACCEPT)], True),
        ([DROPS, rule("nat", ALLOWED, TO_8443), rule("INPUT", dport(8443), ACCEPT)], False),
        ([chain("FORWARD", **INPUT | {"hook": "forward"}, policy="drop")], True),
        ([chain("INPUT", **INPUT, policy="accept")], False),
        ([chain("INPUT", **INPUT, policy="accept"), rule("INPUT", {"drop": None})], True),
        ([chain("x", **INPUT | {"hook": "output"}, policy="drop")], False),
    ],
)
def test_a_later_drop_is_harmful_unless_the_port_is_accepted(
    items: list[dict[str, Any]],
    harmful: bool,  # noqa: FBT001 - a table
) -> None:
    assert any(text.startswith("!") for text in said(*items)) is harmful


def test_dockers_own_forwarding_is_no_harm() -> None:
    forward = chain("FORWARD", **INPUT | {"hook": "forward"}, policy="drop")
    assert said(chain("DOCKER"), forward) == ["Docker redirects published ports"]


def test_a_mark_that_is_accepted_is_a_way_in() -> None:
    by_mark = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 2656}}
    assert said(DROPS, rule("INPUT", by_mark, ACCEPT), mark=0xA60) == []
    assert said(DROPS, rule("INPUT", by_mark, ACCEPT)) != []


@pytest.mark.parametrize(
    "junk", ["", "{}", "[]", '{"nftables":[{"chain":{}}]}', '{"nftables":[1]}']
)
def test_what_is_no_rule_set_is_one_clear_error(junk: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        remarks(junk, port=1)


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({}, False),
        ({"10.0.0.7": 400}, True),
        ({"10.0.0.7": 3}, False),
        ({"10.0.0.7": 400, "8.8.8.8": 90}, False),
    ],
)
def test_connections_from_private_addresses_alone_mean_something_is_in_front(
    sources: dict[str, int],
    found: bool,  # noqa: FBT001 - a table
) -> None:
    assert bool(front(sources)) is found
