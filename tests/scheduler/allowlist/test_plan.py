from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from scheduler.allowlist.plan import LAST_MOMENT, Current, plan

A, B, C, D = (ip_address(text) for text in ("8.8.8.1", "8.8.8.2", "8.8.8.3", "2606:4700::1"))
WISHES = st.dictionaries(
    st.sampled_from([A, B, C, D]), st.none() | st.floats(min_value=LAST_MOMENT, max_value=1e6)
)


def test_every_kind_of_difference_has_its_own_line() -> None:
    current = Current({A: None, B: 5.0, C: None}, "old")
    change = plan("t", current, {A: 9.0, B: None, D: None}, form="new")
    assert str(change).splitlines() == [
        "t:",
        "  add 2606:4700::1",
        "  retire 8.8.8.1",
        "  restore 8.8.8.2",
        "  remove 8.8.8.3",
        "  change from old to new",
    ]
    assert not change.empty


def test_a_target_that_is_not_there_is_made() -> None:
    assert plan("t", None, {A: None}, form="f").reshape == "make it, as f"


def test_the_same_change_has_the_same_id_and_another_has_another() -> None:
    one = plan("t", None, {A: None}, form="f")
    assert one.id == plan("t", None, {A: None}, form="f").id
    assert one.id != plan("t", None, {B: None}, form="f").id


@given(WISHES, WISHES)
def test_applying_a_plan_gives_the_wish_and_then_there_is_nothing_to_do(
    there: dict[object, float | None], wish: dict[object, float | None]
) -> None:
    change = plan("t", Current(there, "f"), wish, form="f")  # type: ignore[arg-type]
    admitted = (set(there) - set(change.remove)) | set(change.add)
    assert admitted == set(wish)
    again = plan("t", Current(wish, "f"), wish, form="f")  # type: ignore[arg-type]
    assert again.empty
    assert str(again) == "t: nothing to do"


@given(WISHES)
def test_a_remaining_time_that_went_on_is_no_difference(wish: dict[object, float | None]) -> None:
    later = {address: left and left / 2 for address, left in wish.items()}
    assert plan("t", Current(later, "f"), wish, form="f").empty  # type: ignore[arg-type]


def test_an_address_in_its_last_moment_is_no_difference_wherever_it_has_ended() -> None:
    assert plan("t", Current({A: None, B: 1.0}, "f"), {A: None}, form="f").empty
    assert plan("t", Current({A: None}, "f"), {A: None, B: 1.0}, form="f").empty


def test_an_address_without_an_end_in_the_target_is_removed_however_late() -> None:
    assert plan("t", Current({A: None, B: None}, "f"), {A: None}, form="f").remove == (B,)
