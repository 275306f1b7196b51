from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.errors import AddressListError
from scheduler.allowlist.guard import GuardError, check, judge, why_refused

PUBLIC = ["8.8.8.8", "101.36.0.1", "1.1.1.1/32", "2606:4700::1111", "2606:4700::1111/128"]


@pytest.mark.parametrize("value", PUBLIC)
def test_one_public_address_may_be_let_in(value: str) -> None:
    assert why_refused(value) == ""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (134744072, "not a string"),
        (True, "not a string"),
        (None, "not a string"),
        (["8.8.8.8"], "not a string"),
        ("", "not one IP address"),
        ("example.org", "not one IP address"),
        ("0.0.0.0/0", "not one IP address"),
        ("::/0", "not one IP address"),
        ("8.0.0.0/6", "not one IP address"),
        ("8.8.8.0/24", "not one IP address"),
        ("8.8.8.8/", "not one IP address"),
        ("8.8.8.8/032", "not one IP address"),
        ("08.8.8.8", "not one IP address"),
        (" 8.8.8.8", "not one IP address"),
        ("8.8.8.8\n", "not one IP address"),
        ("８.8.8.8", "not one IP address"),
        ("0x08.8.8.8", "not one IP address"),
        ("8.8.8.8, 9.9.9.9", "not one IP address"),
        ("xxx.xxx.xxx.xxx", "not one IP address"),
        ("2606:4700:0::1111", "not in canonical form"),
        ("2606:4700::ABCD", "not in canonical form"),
        ("2606:4700::1%3", "not in canonical form"),
        ("0.0.0.0", "nobody's source address"),
        ("255.255.255.255", "nobody's source address"),
        ("224.0.0.1", "nobody's source address"),
        ("ff02::1", "nobody's source address"),
        ("::", "nobody's source address"),
        ("10.0.0.1", "not a public address"),
        ("100.64.0.1", "not a public address"),
        ("127.0.0.1", "not a public address"),
        ("169.254.169.254", "not a public address"),
        ("172.16.0.1", "not a public address"),
        ("192.0.2.1", "not a public address"),
        ("192.88.99.1", "not a public address"),
        ("192.168.0.1", "not a public address"),
        ("198.18.0.1", "not a public address"),
        ("203.0.113.1", "not a public address"),
        ("::ffff:1.2.3.4", "not in canonical form"),
        ("::ffff:102:304", "not a public address"),
        ("64:ff9b::808:808", "not a public address"),
        ("2002:808:808::1", "not a public address"),
        ("2001::1", "not a public address"),
        ("2001:db8::1", "not a public address"),
        ("fd00::1", "not a public address"),
        ("fe80::1", "not a public address"),
    ],
)
def test_everything_else_is_refused_by_name(value: object, reason: str) -> None:
    # mapped addresses print differently from patch release to patch release of Python
    refused = why_refused(value)
    assert refused == reason or (refused and "ffff" in str(value))


def test_reserved_addresses_may_be_accepted_for_tests_but_never_nobodys() -> None:
    assert why_refused("127.0.0.1", accept_reserved=True) == ""
    assert why_refused("203.0.113.1", accept_reserved=True) == ""
    for never in ("0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "0.0.0.0/0"):
        assert why_refused(never, accept_reserved=True)


def test_what_is_odd_in_a_good_answer_is_left_out_and_named() -> None:
    judged = judge(["8.8.8.8", 5, "10.0.0.1", "8.8.8.8"], max_entries=64)
    assert judged.addresses == (ip_address("8.8.8.8"),)
    assert judged.rejected == (("5", "not a string"), ("'10.0.0.1'", "not a public address"))


@pytest.mark.parametrize("values", [["10.0.0.1"], [1, 2], ["0.0.0.0/0"], [None]])
def test_an_answer_without_any_public_address_is_no_answer(values: list[object]) -> None:
    with pytest.raises(AddressListError, match="all_invalid"):
        judge(values, max_entries=64)


def test_too_many_addresses_are_no_answer() -> None:
    values = [f"8.8.{number // 250}.{number % 250 + 1}" for number in range(65)]
    assert len(judge(values[:64], max_entries=64).addresses) == 64
    with pytest.raises(AddressListError, match="65 addresses; max_entries 64"):
        judge(values, max_entries=64)


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(), st.integers(), st.none())))
def test_whatever_is_let_in_is_one_public_address(values: list[object]) -> None:
    try:
        judged = judge(values, max_entries=1000)
    except AddressListError:
        return
    for address in judged.addresses:
        assert address.is_global
        assert not address.is_multicast
        assert str(address) in values


def test_an_empty_or_overlong_wish_is_refused() -> None:
    one, two = ip_address("8.8.8.8"), ip_address("8.8.8.9")
    check([one], [], limit=1)
    for active, retiring, rule in (
        ([], [one], "empty"),
        ([one, two], [], "too_many"),
        ([one], [two], "too_many"),
    ):
        with pytest.raises(GuardError) as caught:
            check(active, retiring, limit=1)
        assert caught.value.rule == rule
