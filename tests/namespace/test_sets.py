"""Sets that an operator made, filled in the real packet filter."""

from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from scheduler.allowlist.targets import Target, TargetError
from scheduler.allowlist.targets.nftables.sets import SetsTarget
from tests.namespace.lab import load, nft
from tests.scheduler.allowlist.contract import TargetContract

A, V6 = ip_address("101.36.1.1"), ip_address("2606:4700::1")
MADE = (
    "table inet filter {{ set a4 {{ type ipv4_addr; flags timeout; {more} }}; "
    "set a6 {{ type ipv6_addr; flags timeout; }}; chain in {{ ip saddr @a4 accept; }}; }}"
)


def target() -> SetsTarget:
    return SetsTarget(set4="inet filter a4", set6="inet filter a6")


@pytest.fixture(autouse=True)
def made() -> None:
    nft("flush", "ruleset")
    load(MADE.format(more=""))


class TestSetsTarget(TargetContract):
    @pytest.fixture
    async def target(self) -> AsyncIterator[Target]:
        rules = nft("list", "chain", "inet", "filter", "in")
        yield target()
        assert nft("list", "chain", "inet", "filter", "in") == rules


async def test_what_the_kernel_counts_down_is_not_begun_again() -> None:
    await target().apply({A: 600.0})
    await target().apply({A: 600.0, V6: None})
    assert "timeout 10m" in nft("list", "set", "inet", "filter", "a4")


@pytest.mark.parametrize("more", ["timeout 1h;", "flags interval, timeout; auto-merge;"])
async def test_a_set_that_ends_addresses_too_early_is_refused(more: str) -> None:
    nft("flush", "ruleset")
    load(MADE.format(more=more))
    with pytest.raises(TargetError, match="no default timeout and no auto-merge"):
        await target().apply({A: None})
    assert str(A) not in nft("list", "ruleset")


async def test_a_set_that_keeps_no_time_or_is_not_there_is_said_with_what_to_do() -> None:
    nft("add", "set", "inet", "filter", "b4", "{ type ipv4_addr; }")
    with pytest.raises(TargetError, match=r"must be made with .*flags timeout"):
        await SetsTarget(set4="inet filter b4", set6="").read()
    with pytest.raises(TargetError, match="make it: nft add set inet filter c4"):
        await SetsTarget(set4="inet filter c4", set6="").read()


async def test_an_address_of_a_family_that_has_no_set_is_said() -> None:
    with pytest.raises(TargetError, match="configure set6"):
        await SetsTarget(set4="inet filter a4", set6="").apply({A: None, V6: None})
