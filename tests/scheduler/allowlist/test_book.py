from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scheduler.allowlist.addresses import ABSENCES, Address, Book, make_room, observe, pass_time

A, B, C, D, E = (ip_address(f"8.8.8.{number}") for number in (1, 2, 3, 4, 5))
GRACE = 100.0


def polled(book: Book, *polls: set[Address], now: float = 0.0) -> Book:
    for listed in polls:
        book = observe(book, listed, now=now, grace=GRACE)
    return book


def test_one_good_poll_is_enough_to_be_admitted() -> None:
    assert polled(Book(), {A, B}).active == (A, B)


def test_an_address_retires_only_after_three_good_polls_without_it() -> None:
    book = polled(Book(), {A, B}, {A}, {A})
    assert book.active == (A, B)
    book = polled(book, {A})
    assert book.active == (A,)
    assert book.retiring == {B: GRACE}


def test_one_odd_answer_followed_by_the_usual_one_removes_nothing() -> None:
    book = polled(Book(), {A, B}, {C}, {A, B}, {A}, {A})  # C came once and retires
    assert book.entries[B].absences == 2
    assert book.active == (A, B)


def test_what_reappears_is_active_at_once() -> None:
    book = polled(Book(), {A, B}, *[{A}] * 3)
    assert polled(book, {B}).entries[B].active


def test_a_full_rotation_keeps_the_old_ones_through_their_grace() -> None:
    book = polled(Book(), {A}, *[{B}] * 3)
    assert book.active == (B,)
    assert book.retiring == {A: GRACE}
    assert pass_time(book, GRACE - 1).retiring == {A: 1.0}
    assert set(pass_time(book, GRACE).entries) == {B}


def test_absences_do_not_restart_a_grace_time() -> None:
    book = pass_time(polled(Book(), {A, B}, *[{A}] * 3), 60.0)
    assert polled(book, {A}).retiring == {B: 40.0}


def test_nobody_counts_as_absent_from_an_answer_that_was_not_whole() -> None:
    book = polled(Book(), {A, B}, {A}, {A})
    again = observe(book, {A, C}, now=0.0, grace=GRACE, whole=False)
    assert again.active == (A, B, C)
    assert again.entries[B].absences == 2


def test_room_is_made_by_who_leaves_first_then_by_who_was_missed_most() -> None:
    book = polled(Book(), {A, D}, *[{D}] * 3)  # A retires first
    book = pass_time(polled(book, {B, D}, *[{D}] * 3), 10.0)
    book = polled(book, {C}, {E})  # D is missed in two polls, C in one
    order = [make_room(book, {E}, limit=limit).entries.keys() for limit in (4, 3, 2, 1)]
    assert order == [{B, C, D, E}, {C, D, E}, {C, E}, {E}]


@given(st.lists(st.sets(st.sampled_from(range(30)), min_size=1, max_size=5), max_size=20))
def test_who_is_listed_always_has_room(polls: list[set[int]]) -> None:
    book = Book()
    for numbers in polls:
        listed = {ip_address(f"8.8.4.{number}") for number in numbers}
        book = make_room(observe(book, listed, now=0.0, grace=GRACE), listed, limit=10)
        assert listed <= set(book.active)
        assert len(book.entries) <= 10


def test_a_clock_that_went_back_passes_no_time() -> None:
    book = polled(Book(), {A, B}, *[{A}] * 3)
    assert pass_time(book, -1e9) == book


def test_the_revision_grows_with_who_is_admitted_and_how() -> None:
    book = polled(Book(), {A, B})
    assert book.revision == 1
    assert polled(book, {A, B}, {A}).revision == 1
    retired = polled(book, *[{A}] * ABSENCES)
    assert retired.revision == 2
    assert pass_time(retired, 1.0).revision == 2
    assert pass_time(retired, GRACE).revision == 3


class AnyCourse(RuleBasedStateMachine):
    """Good polls and passing time in any order: never empty, nothing listed missing, no early end."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.listed: set[Address] = set()
        self.absent_since: dict[Address, float] = {}
        self.now = 0.0

    some = st.sets(st.sampled_from([ip_address(f"8.8.4.{n}") for n in range(8)]), min_size=1)

    @initialize(listed=some)
    def first_poll(self, listed: set[Address]) -> None:
        self.poll(listed)

    @rule(listed=some)
    def poll(self, listed: set[Address]) -> None:
        before = set(self.book.entries)
        self.book = observe(self.book, listed, now=self.now, grace=GRACE)
        self.listed = listed
        for address in listed:
            self.absent_since.pop(address, None)
        for address in before - listed:
            self.absent_since.setdefault(address, self.now)

    @rule(seconds=st.floats(-500, 500))
    def wait(self, seconds: float) -> None:
        before = set(self.book.entries)
        self.book = pass_time(self.book, seconds)
        self.now += max(0.0, seconds)
        for gone in before - set(self.book.entries):
            assert self.now - self.absent_since[gone] >= GRACE - 1e-6

    @invariant()
    def never_empty_and_nothing_listed_is_missing(self) -> None:
        if self.listed:
            assert self.book.active
            assert self.listed <= set(self.book.active)


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
