from ipaddress import ip_address

import pytest

from scheduler.allowlist.addresses import Address, Book, observe
from scheduler.allowlist.holding import SAME_HOST, Considered, Oddities, consider, why_odd

LIMITS = Oddities(growth=4.0, turnovers=2)
GRACE = 100.0


def some(count: int, net: int = 1) -> list[Address]:
    return [ip_address(f"8.8.{net}.{n}") for n in range(count)]


def after(*polls: list[Address]) -> Book:
    book = Book()
    for listed in polls:
        book = observe(book, listed, now=1.0, grace=GRACE)
    return book


def considered(book: Book, listed: list[Address], host: str = "one") -> Considered:
    return consider(book, listed, host=host, now=5.0, limits=LIMITS)


def test_the_first_list_of_all_is_never_odd() -> None:
    assert considered(Book(), some(64)).held is None


def test_a_whole_exchange_is_what_the_vendor_promises() -> None:
    found = considered(after(some(8)), some(8, net=2))
    assert (len(found.listed), found.held) == (8, None)


def test_a_list_that_explodes_waits_and_nobody_of_it_is_admitted() -> None:
    book = after(some(4))
    found = considered(book, some(20))
    assert found.held is not None
    assert found.listed == tuple(some(4))
    assert found.held.addresses == tuple(some(20)[4:])
    assert "20 addresses after 4; the limit is 4 x" in found.held.why


def test_from_one_address_to_five_is_no_explosion() -> None:
    assert considered(after(some(1)), some(5)).held is None


def test_too_many_whole_exchanges_within_one_grace_wait() -> None:
    book = after(some(4), some(4, 2), some(4, 3))
    assert len(book.turnovers) == 2
    assert "3 whole exchanges in one grace; the limit is 2" in why_odd(
        book, some(4, 4), limits=LIMITS
    )
    assert considered(book, some(4, 4)).listed == ()


def test_another_host_that_says_the_same_is_believed() -> None:
    book = after(some(4))
    held = considered(book, some(20)).held
    waiting = Book(book.entries, 1, 1.0, (), held)
    assert considered(waiting, some(20), "two").held is None
    assert len(considered(waiting, some(20), "two").listed) == 20


def test_one_host_alone_is_believed_when_it_goes_on_saying_it() -> None:
    book, answers = after(some(4)), 0
    while True:
        answers += 1
        found = considered(book, some(20))
        if found.held is None:
            break
        book = Book(book.entries, 1, 1.0, (), found.held)
    assert answers == SAME_HOST


def test_an_answer_that_says_something_else_begins_anew() -> None:
    book = after(some(4))
    first = considered(book, some(20)).held
    second = considered(Book(book.entries, 1, 1.0, (), first), some(40, 2), "two").held
    assert first is not None
    assert second is not None
    assert (second.answers, second.id == first.id) == (1, False)


@pytest.mark.parametrize("now", [1.0, 2.0])
def test_each_occasion_has_a_name_of_its_own(now: float) -> None:
    book = after(some(4))
    held = consider(book, some(20), host="one", now=now, limits=LIMITS).held
    other = consider(book, some(20), host="one", now=now + 1, limits=LIMITS).held
    assert held is not None
    assert other is not None
    assert held.id != other.id
