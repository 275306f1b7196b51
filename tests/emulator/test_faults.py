from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.emulator.fates import AGAIN_WITHIN, OVERTAKEN_WITHIN, decide
from agora_sidecar.emulator.faults import (
    ADDRESS_LISTS,
    PROBABILITIES,
    FaultError,
    Faults,
    changed,
    dice,
    read_faults,
    shown,
)


def test_by_default_nothing_goes_wrong() -> None:
    fate = decide(Faults(), dice(1, "x"), muted=False)

    assert (fate.lost, fate.hold, fate.again) == (False, None, None)


@pytest.mark.parametrize("name", [*PROBABILITIES, "backup", "delay_seconds", "slow_seconds"])
@pytest.mark.parametrize(
    "value", [-0.1, float("nan"), float("inf"), 1e9, "0.1", None, True, [], {}]
)
def test_a_number_out_of_range_or_no_number_is_refused_by_name(name: str, value: Any) -> None:
    before = Faults(lose=0.5)

    with pytest.raises(FaultError, match=f"^{name}: .* is not a number from 0 to"):
        changed(before, {"lose": 0.1, name: value})
    assert before.lose == 0.5


def test_an_unknown_fault_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(FaultError, match=r"^loose: no such fault; use one of lose, duplicate"):
        changed(Faults(), {"loose": 0.1})


@pytest.mark.parametrize("value", ["", "none", 3, None, [], {}])
def test_an_unknown_way_of_answering_with_addresses_is_refused(value: Any) -> None:
    with pytest.raises(FaultError, match=r"^addresses: .* use one of normal, empty"):
        changed(Faults(), {"addresses": value})


@pytest.mark.parametrize(
    "value", [3, "room1", [], {"room1": -1}, {"room1": True}, {"room1": "start"}, {"": 3}]
)
def test_a_mute_of_another_form_is_refused(value: Any) -> None:
    with pytest.raises(FaultError, match=r"^mute: .* give an object such as"):
        changed(Faults(), {"mute": value})


def test_a_mute_begins_after_its_nth_event() -> None:
    faults = Faults(mute={"room1": 2})

    muted = [faults.mutes(("sid", "room1"), ordinal=n, ending=False) for n in (1, 2, 3)]

    assert muted == [False, False, True]
    assert not faults.mutes(("sid", "room2"), ordinal=9, ending=True)


def test_a_mute_at_the_end_lets_everything_before_it_through() -> None:
    faults = Faults(mute={"sid": "end"})

    assert not faults.mutes(("sid", "room1"), ordinal=100, ending=False)
    assert faults.mutes(("sid", "room1"), ordinal=1, ending=True)


def test_faults_are_read_from_the_command_line_and_mutes_add_up() -> None:
    faults = read_faults(
        ["lose=0.1", "addresses=empty", "mute=room1:3", "mute=a:b:end", "delay_seconds=5"]
    )

    assert faults == Faults(
        lose=0.1, addresses="empty", mute={"room1": 3, "a:b": "end"}, delay_seconds=5.0
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lose", "lose: not of the form name=value"),
        ("lose=x", "lose: 'x' is not a number"),
        ("lose=2", "lose: 2.0 is not a number from 0 to 1"),
        ("loose=0.1", "loose: no such fault"),
        ("mute=room1", "mute: 'room1' for ''"),
        ("mute=room1:-1", "mute: '-1' for 'room1'"),
        ("addresses=odd", "addresses: 'odd' is unknown"),
    ],
)
def test_a_wrong_fault_on_the_command_line_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(FaultError) as caught:
        read_faults([text])

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ADDRESS_LISTS)
def test_what_is_shown_can_be_set_again(kind: str) -> None:
    faults = Faults(lose=0.25, addresses=kind, mute={"room1": 3})

    assert changed(Faults(), shown(faults)) == faults


@given(seed=st.integers(), what=st.text())
def test_the_dice_fall_by_seed_and_name_alone(seed: int, what: str) -> None:
    assert dice(seed, what).random() == dice(seed, what).random()
    assert dice(seed, what, 1).random() != dice(seed, what, 2).random()


def test_one_fault_does_not_shift_the_decisions_of_another() -> None:
    def lost(faults: Faults) -> list[bool]:
        return [decide(faults, dice(7, n), muted=False).lost for n in range(200)]

    alone = lost(Faults(lose=0.3))

    assert lost(Faults(lose=0.3, duplicate=0.5, reorder=0.5, delay=0.5)) == alone
    assert 30 < sum(alone) < 90


def test_a_certain_fault_happens_to_every_notice_within_its_bounds() -> None:
    faults = Faults(reorder=1.0, delay=1.0, delay_seconds=100.0, duplicate=1.0)
    fates = [decide(faults, dice(7, n), muted=False) for n in range(100)]

    holds = [fate.hold for fate in fates if fate.hold is not None]
    assert len(holds) == 100
    assert max(holds) <= OVERTAKEN_WITHIN + 100.0
    assert max(holds) > OVERTAKEN_WITHIN
    assert all(fate.again is not None and 0 <= fate.again <= AGAIN_WITHIN for fate in fates)


def test_a_muted_notice_is_lost_whatever_the_dice_say() -> None:
    assert all(decide(Faults(), dice(1, n), muted=True).lost for n in range(20))
