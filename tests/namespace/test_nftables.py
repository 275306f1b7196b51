import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from scheduler.allowlist.plan import plan
from scheduler.allowlist.targets import Target, TargetError
from scheduler.allowlist.targets.nftables.script import Port, table_script
from scheduler.allowlist.targets.nftables.table import NftablesTarget
from tests.scheduler.allowlist.contract import TargetContract

PORT = 18080
LISTED, ALSO, LATER, STRANGER = (f"101.36.1.{n}" for n in (1, 2, 3, 66))
V6_LISTED, V6_STRANGER = "2606:4700::1", "2606:4700::66"


def nft(*arguments: str) -> str:
    return subprocess.run(["nft", *arguments], check=True, capture_output=True, text=True).stdout


def load(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], check=True, input=text.encode())


def elements() -> dict[str, int | None]:
    """Address -> timeout in seconds, as the kernel has it."""
    found: dict[str, int | None] = {}
    for item in json.loads(nft("-j", "list", "table", "inet", "agora_sidecar"))["nftables"]:
        for raw in item.get("set", {}).get("elem", []):
            if isinstance(raw, str):
                found[raw] = None
            else:
                found[raw["elem"]["val"]] = raw["elem"].get("timeout")
    return found


def target(mode: str = "enforce") -> NftablesTarget:
    return NftablesTarget(port=PORT, mode=mode, max_entries=4)


@pytest.fixture(autouse=True)
def no_table() -> None:
    nft("flush", "ruleset")


class TestNftablesTarget(TargetContract):
    @pytest.fixture
    def target(self) -> Target:
        return target()


@pytest.fixture
async def server() -> AsyncIterator[None]:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    servers = [
        await asyncio.start_server(greet, host, PORT) for host in ("127.0.0.1", "::1", LISTED)
    ]
    yield
    for one in servers:
        one.close()


async def reaches(source: str, *, patience: float = 0.4, to: str | None = None) -> bool:
    there = to or ("::1" if ":" in source else "127.0.0.1")
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(there, PORT, local_addr=(source, 0))
            greeting = await reader.read()
    except (OSError, TimeoutError):
        return False
    writer.close()
    return greeting == b"hello"


def wish(*active: str, **retiring: float) -> dict[object, float | None]:
    return {ip_address(address): None for address in active}


async def test_active_addresses_have_no_timeout_and_retiring_ones_have() -> None:
    await target().apply({ip_address(LISTED): None, ip_address(ALSO): 90.5})
    assert elements() == {LISTED: None, ALSO: 90}


async def test_listed_packets_come_through_and_others_do_not(server: None) -> None:
    t = target()
    await t.apply({ip_address(LISTED): None, ip_address(V6_LISTED): None})
    assert await reaches(LISTED)
    assert await reaches(V6_LISTED)
    assert not await reaches(STRANGER)
    assert not await reaches(V6_STRANGER)
    counted = await t.counted()
    assert counted["listed"] == 2
    assert counted["unlisted"] >= 2


async def test_our_own_machine_is_never_kept_out(server: None) -> None:
    await target().apply({ip_address(LISTED): None})
    assert await reaches("127.0.0.1")
    assert await reaches("::1")


async def test_other_ports_are_not_touched(server: None) -> None:
    await NftablesTarget(port=PORT + 1, mode="enforce", max_entries=4).apply(
        {ip_address(LISTED): None}
    )
    assert await reaches(STRANGER)


async def test_observing_counts_and_drops_nothing_and_enforcing_begins_in_one_step(
    server: None,
) -> None:
    observing = target("observe")
    await observing.apply({ip_address(LISTED): None})
    assert await reaches(STRANGER)
    assert (await observing.counted())["unlisted"] == 1
    enforcing = target()
    current = await enforcing.read()
    change = plan(enforcing.name, current, {ip_address(LISTED): None}, form=enforcing.form)
    assert "change from observe-" in change.reshape
    await enforcing.apply({ip_address(LISTED): None})
    assert not await reaches(STRANGER)


async def test_after_a_rotation_both_come_through_until_the_kernel_ends_the_grace(
    server: None,
) -> None:
    t = target()
    await t.apply({ip_address(LISTED): None})
    await t.apply({ip_address(LATER): None, ip_address(LISTED): 1.2})
    assert await reaches(LISTED)
    assert await reaches(LATER)
    async with asyncio.timeout(10):  # nobody removes it: the kernel does
        while LISTED in elements():  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.05)
    assert not await reaches(LISTED)
    assert await reaches(LATER)


async def test_the_first_packet_of_a_new_address_comes_through_when_it_is_listed_in_time(
    server: None,
) -> None:
    t = target()
    await t.apply({ip_address(LISTED): None})
    connecting = asyncio.create_task(reaches(LATER, patience=5.0))
    await asyncio.sleep(0.2)
    await t.apply({ip_address(LISTED): None, ip_address(LATER): None})
    assert await connecting


async def test_an_open_connection_outlives_the_removal_of_its_address(server: None) -> None:
    t = target()
    await t.apply({ip_address(LISTED): None, ip_address(LATER): None})
    echo = await asyncio.start_server(_echo, "127.0.0.1", PORT + 7)
    await NftablesTarget(port=PORT + 7, mode="enforce", max_entries=4).apply(
        {ip_address(LISTED): None, ip_address(LATER): None}
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT + 7, local_addr=(LATER, 0))
    await t.apply({ip_address(LISTED): None})
    writer.write(b"x")
    async with asyncio.timeout(2):
        assert await reader.read(1) == b"x"
    writer.close()
    echo.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(1))
    await writer.drain()
    writer.close()


async def test_a_full_set_is_refused_by_the_kernel_and_keeps_its_content() -> None:
    t = target()
    await t.apply({ip_address(LISTED): None})
    too_many = {ip_address(f"101.36.2.{n}"): None for n in range(1, 12)}
    with pytest.raises(TargetError, match="nft refused: the kernel's set is full"):
        await t.apply(too_many)
    assert elements() == {LISTED: None}


async def test_a_flushed_ruleset_is_noticed_and_put_right(server: None) -> None:
    t = target()
    await t.apply({ip_address(LISTED): None})
    nft("flush", "ruleset")
    assert await reaches(STRANGER)
    assert await t.read() is None
    await t.apply({ip_address(LISTED): None})
    assert not await reaches(STRANGER)


@pytest.mark.parametrize(
    "damage",
    [
        ("flush", "chain", "inet", "agora_sidecar", f"port_{PORT}"),
        ("add", "element", "inet", "agora_sidecar", "ncs4", "{ 9.9.9.9 }"),
        ("insert", "rule", "inet", "agora_sidecar", f"port_{PORT}", "accept"),
    ],
)
async def test_what_somebody_changed_in_our_table_is_a_difference(damage: tuple[str, ...]) -> None:
    t = target()
    listed = {ip_address(LISTED): None}
    await t.apply(listed)
    nft(*damage)
    assert not plan(t.name, await t.read(), listed, form=t.form).empty
    await t.apply(listed)
    assert plan(t.name, await t.read(), listed, form=t.form).empty


async def test_a_policy_that_somebody_changed_is_put_right(server: None) -> None:
    t = target()
    listed = {ip_address(LISTED): None}
    await t.apply(listed)
    nft("add", "chain", "inet", "agora_sidecar", f"port_{PORT}", "{ policy drop; }")
    assert not plan(t.name, await t.read(), listed, form=t.form).empty
    await t.apply(listed)
    assert plan(t.name, await t.read(), listed, form=t.form).empty
    assert "policy drop" not in nft("list", "ruleset")


async def test_a_port_that_is_no_longer_configured_is_no_longer_filtered(server: None) -> None:
    listed = {ip_address(LISTED): None}
    await target().apply(listed)
    assert not await reaches(STRANGER)
    other = NftablesTarget(port=PORT + 1, mode="enforce", max_entries=4, ports=[PORT + 1])
    await other.apply(listed)
    assert await reaches(STRANGER)
    assert plan(other.name, await other.read(), listed, form=other.form).empty


async def test_two_ports_share_the_list_and_leave_each_other_alone() -> None:
    listed = {ip_address(LISTED): None}
    ports = (PORT, PORT + 1)
    both = [NftablesTarget(port=p, mode="enforce", max_entries=4, ports=ports) for p in ports]
    for t in both:
        await t.apply(listed)
    for t in both:
        assert plan(t.name, await t.read(), listed, form=t.form).empty


async def test_a_foreign_set_in_our_table_is_said_and_not_read() -> None:
    nft("add", "table", "inet", "agora_sidecar")
    load("add set inet agora_sidecar x { type inet_service; elements = { 80 }; }")
    with pytest.raises(TargetError, match="not ours"):
        await target().read()


async def test_elements_that_are_no_addresses_are_one_clear_error() -> None:
    nft("add", "table", "inet", "agora_sidecar")
    spec = '{ type inet_service; comment "agora-sidecar"; elements = { 80 }; }'
    load(f"add set inet agora_sidecar ncs4 {spec}")
    with pytest.raises(TargetError, match="no address"):
        await target().read()


async def test_a_table_of_this_name_that_is_not_ours_is_left_alone() -> None:
    nft("add", "table", "inet", "agora_sidecar")
    nft("add", "set", "inet", "agora_sidecar", "ncs4", "{ type ipv4_addr; }")
    before = nft("list", "ruleset")
    for act in (target().read(), target().apply({ip_address(LISTED): None})):
        with pytest.raises(TargetError, match="not ours"):
            await act
    assert nft("list", "ruleset") == before


async def test_rules_of_others_survive_everything() -> None:
    nft("add", "table", "inet", "theirs")
    nft("add", "chain", "inet", "theirs", "c", "{ type filter hook input priority 0; }")
    nft("add", "rule", "inet", "theirs", "c", "tcp", "dport", "9", "accept")
    before = nft("list", "table", "inet", "theirs")
    t = target()
    await t.apply({ip_address(LISTED): None})
    await t.apply({ip_address(LATER): None})
    await t.uninstall()
    assert nft("list", "ruleset") == before


async def test_a_redirect_does_not_bypass_the_list(server: None) -> None:
    nft("add", "table", "ip", "nat")
    nft("add", "chain", "ip", "nat", "out", "{ type nat hook output priority -100; }")
    nft("add", "rule", "ip", "nat", "out", "tcp", "dport", "443", "redirect", "to", f":{PORT}")
    await NftablesTarget(port=443, mode="enforce", max_entries=4).apply({ip_address(LISTED): None})

    async def reaches_443(source: str) -> bool:
        try:
            async with asyncio.timeout(0.4):
                _, writer = await asyncio.open_connection("127.0.0.1", 443, local_addr=(source, 0))
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    assert await reaches_443(LISTED)
    assert not await reaches_443(STRANGER)


def test_every_rule_begins_with_the_match_of_its_port() -> None:
    for mode, mark in (("observe", 0), ("enforce", 0xA60)):
        lines = table_script(Port(PORT, mode, 8, mark), rules=True)
        rules = [line for line in lines if line.startswith("add rule")]
        match = f"add rule inet agora_sidecar port_{PORT} meta l4proto tcp ct original proto-dst {PORT} "
        assert len(rules) == 9
        assert all(rule.startswith(match) for rule in rules)
        assert not any("delete" in line or "flush ruleset" in line for line in lines)
