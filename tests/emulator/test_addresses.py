import msgspec
import pytest

from agora_sidecar.emulator.addresses import THOUSANDS, AddressPool, list_body

TWO = ("127.0.0.11", "127.0.0.12")


def test_a_rotation_moves_on_to_the_next_addresses_and_around_the_end() -> None:
    pool = AddressPool(("a", "b", "c", "d", "e"), published=2)

    assert [pool.current, pool.rotate(), pool.rotate(), pool.rotate()] == [
        ("a", "b"),
        ("c", "d"),
        ("e", "a"),
        ("b", "c"),
    ]


def test_a_pool_without_spare_addresses_uses_all_of_them() -> None:
    pool = AddressPool(("a",), published=2)

    assert pool.current == ("a",)
    assert pool.rotate() == ("a",)


def test_the_address_list_has_the_vendors_shape() -> None:
    content_type, body = list_body(TWO)

    assert content_type == "application/json"
    hosts = [{"primaryIP": "127.0.0.11"}, {"primaryIP": "127.0.0.12"}]
    assert msgspec.json.decode(body) == {"data": {"service": {"hosts": hosts}}}


def primary(kind: str) -> list[object]:
    body = msgspec.json.decode(list_body(TWO, kind)[1])
    return [host["primaryIP"] for host in body["data"]["service"]["hosts"]]


@pytest.mark.parametrize(
    ("kind", "addresses"),
    [
        ("empty", []),
        ("numbers", [0, 1]),
        ("everything", [*TWO, "0.0.0.0/0"]),
        ("private", [*TWO, "10.0.0.1", "192.168.1.1"]),
        ("duplicates", [*TWO, *TWO]),
    ],
)
def test_an_odd_list_is_odd_as_asked(kind: str, addresses: list[object]) -> None:
    assert primary(kind) == addresses


def test_a_list_of_thousands_has_as_many_different_addresses() -> None:
    assert len(set(primary("thousands"))) == THOUSANDS


def test_an_answer_may_be_no_list_at_all() -> None:
    assert list_body(TWO, "null") == ("application/json", b"null")
    assert list_body(TWO, "html")[0] == "text/html"
