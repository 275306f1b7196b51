import pytest

from agora_sidecar.agora.errors import AddressListError
from scheduler.allowlist.source import Source
from tests.fakes.address_list import AddressList

V1, V2 = "/v1/ncs/ip", "/v2/ncs/ip"
TWO = b'{"data":{"service":{"hosts":[{"PrimaryIP":"8.8.4.4","other":1},{"primaryIP":7},{}]}}}'


def source(asked: AddressList, *, use_all: bool = False) -> Source:
    return Source(asked, paths=(V1, V2), use_all=use_all)


async def test_the_first_path_that_answers_is_enough() -> None:
    asked = AddressList("8.8.8.8")
    answer = await source(asked).ask()
    assert answer.values == ("8.8.8.8",)
    assert asked.asked == [V1]


async def test_the_key_is_found_in_any_case_and_values_come_as_they_are() -> None:
    asked = AddressList()
    asked.answer(TWO)
    assert (await source(asked).ask()).values == ("8.8.4.4", 7, None)


async def test_a_path_that_fails_is_replaced_by_the_other() -> None:
    asked = AddressList("8.8.8.8")
    asked.bodies[V1] = b"<html>"
    assert (await source(asked).ask()).paths == (V2,)


async def test_the_union_needs_every_path() -> None:
    asked = AddressList("8.8.8.8")
    asked.bodies[V2] = TWO
    assert (await source(asked, use_all=True).ask()).values == ("8.8.8.8", "8.8.4.4", 7, None)
    asked.bodies[V2] = b"null"
    with pytest.raises(AddressListError, match="schema"):
        await source(asked, use_all=True).ask()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"<html><body>502 Bad Gateway</body></html>", "not_json"),
        (b"\xff", "not_json"),
        (b"[" * 10_000, "not_json"),
        (b"null", "schema"),
        (b"[]", "schema"),
        (b'"8.8.8.8"', "schema"),
        (b"{}", "schema"),
        (b'{"data":[]}', "schema"),
        (b'{"data":{"service":{"hosts":{}}}}', "schema"),
        (b'{"data":{"service":{"hosts":"8.8.8.8"}}}', "schema"),
        (b'{"data":{"service":{"hosts":[]}}}', "empty"),
        (b'{"data":{"service":{"hosts":[' + b"{}," * 10_000 + b"{}]}}}", "too_many"),
    ],
)
async def test_an_odd_answer_says_why(body: bytes, reason: str) -> None:
    asked = AddressList()
    asked.answer(body)
    with pytest.raises(AddressListError) as caught:
        await source(asked).ask()
    assert caught.value.reason == reason


async def test_nobody_answering_says_so() -> None:
    asked = AddressList()
    asked.fail()
    with pytest.raises(AddressListError, match="unreachable"):
        await source(asked).ask()
    assert asked.asked == [V1, V2]
