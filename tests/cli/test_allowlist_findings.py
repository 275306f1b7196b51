from typing import Any

import pytest

from agora_sidecar.cli.allowlist_findings import of_enforcing, of_filter, of_orders

CALM: dict[str, Any] = {"frozen": None, "openUntil": None, "held": None}


def test_without_orders_there_is_nothing_to_say() -> None:
    assert list(of_orders(CALM)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frozen": {"why": "moving"}}, ("frozen: moving", "unfreeze")),
        ({"frozen": {"why": ""}}, ("is frozen; targets", "unfreeze")),
        ({"openUntil": 1.0}, ("everybody is let in", "close")),
        (
            {"held": {"plan": "abc", "why": "growth", "addresses": ["8.8.8.8"]}},
            ("1 addresses wait: growth", "--accept-plan abc"),
        ),
    ],
)
def test_an_order_in_force_is_a_problem_with_its_cure(
    change: dict[str, Any], words: tuple[str, str]
) -> None:
    (found,) = of_orders(CALM | change)
    assert found.kind == "problem"
    assert words[0] in found.text
    assert words[1] in found.cure


def test_whether_to_enforce_is_said_where_there_is_a_filter() -> None:
    assert list(of_enforcing(["why"], modes=())) == []
    (safe,) = of_enforcing([], modes={"observe"})
    assert (safe.kind, safe.text) == ("ok", "enforcing is safe")
    (not_yet,) = of_enforcing(["too early"], modes={"observe"})
    assert (not_yet.kind, not_yet.text) == ("warning", "not safe to enforce yet: too early")
    (already,) = of_enforcing(["too early"], modes={"enforce", "observe"})
    assert already.text == "enforcing, and too early"


def test_what_is_harmful_in_the_filter_is_a_problem() -> None:
    harmful = of_filter("nftables:1", text="drops", cure="Accept", harmful=True)
    assert (harmful.kind, harmful.text) == ("problem", "nftables:1: drops")
    assert of_filter("nftables:1", text="ufw", cure="", harmful=False).kind == "ok"
