"""What happens between two polls, with the real packet filter: knocks, foreign changes, crashes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from statistics import median

import pytest

from agora_sidecar.process.clock import SystemClock
from scheduler.allowlist.drift import Drift
from scheduler.allowlist.knocks import Knocks
from scheduler.allowlist.sync import Sync
from scheduler.allowlist.targets.nftables.knocking import read_knocks
from scheduler.allowlist.targets.nftables.program import Nft
from scheduler.allowlist.targets.nftables.script import KNOCKS, TABLE
from scheduler.allowlist.targets.nftables.sets import SetsTarget
from scheduler.allowlist.targets.nftables.table import NftablesTarget
from tests.fakes.address_list import AddressList
from tests.fakes.syncs import rules, sync_of
from tests.integration.processes import until
from tests.namespace.lab import Machine, load, machine, nft
from tests.namespace.test_packets import CLIENT, PORT, SERVER, STRANGERS, VENDOR, serving

OLD, NEW, STRANGER = VENDOR[0], VENDOR[1], STRANGERS[0]


@pytest.fixture
def client() -> Iterator[Machine]:
    nft("flush", "ruleset")
    with machine(SERVER, CLIENT) as found:
        found.has(*VENDOR, *STRANGERS)
        yield found


def a_sync(folder: Path, vendor: AddressList, target: NftablesTarget | None = None) -> Sync:
    target = target or NftablesTarget(port=PORT, mode="enforce", max_entries=16)
    return sync_of(folder, vendor, target, rules=rules(max_entries=16))


@asynccontextmanager
async def listening_for_knocks(sync: Sync) -> AsyncIterator[Knocks]:
    wanted = asyncio.Event()

    async def poll() -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            await sync.run_once("knock")

    knocks = Knocks(
        read=lambda: read_knocks(TABLE, tuple(KNOCKS.values())),
        on_knock=wanted.set,
        admitted=lambda: sync.keeper.book.entries,
        sightings=sync.sightings,
        clock=SystemClock(),
        metrics=sync.metrics,
    )
    tasks = [asyncio.create_task(knocks.run()), asyncio.create_task(poll())]
    try:
        await asyncio.sleep(0.3)  # the first look is no knock of anybody
        yield knocks
    finally:
        await ended(tasks)


async def ended(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def connects(client: Machine, source: str, patience: float) -> float | None:
    """Seconds that one connect took, None if it did not succeed in time."""
    code = (
        "import socket,sys,time; t=time.monotonic(); s=socket.create_connection((sys.argv[1], "
        "int(sys.argv[2])), float(sys.argv[4]), (sys.argv[3], 0)); s.recv(1); "
        "print(time.monotonic()-t)"
    )
    words = ("python3", "-c", code, SERVER[":" in source], str(PORT), source, str(patience))
    process = await asyncio.create_subprocess_exec(
        *client.enter,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return float(output) if output else None


@pytest.mark.parametrize("new", [NEW, VENDOR[3]])
async def test_after_a_rotation_the_first_connection_attempt_comes_through(
    client: Machine, tmp_path: Path, new: str
) -> None:
    """No poll is due, the vendor has moved: its SYN is dropped, and the one sent again is not."""
    vendor = AddressList(OLD)
    sync = a_sync(tmp_path, vendor)
    await sync.run_once()
    vendor.say(new)
    async with serving(), listening_for_knocks(sync):
        took = await connects(client, new, 8.0)
        assert took is not None
        print(f"the delivery came through after {took:.2f} s, within its first attempt")  # noqa: T201 - what was measured
        assert await connects(client, STRANGER, 2.5) is None
    assert [blind.address for blind in sync.sightings.seen.blind] == [new]
    assert STRANGER in sync.sightings.seen.sources
    shown = sync.snapshot()
    assert shown["unlisted"][0]["address"] == STRANGER
    assert shown["unlisted"][0]["packets"] >= 2


async def test_knocks_of_before_the_start_lead_to_nothing_and_listed_ones_are_none(
    client: Machine, tmp_path: Path
) -> None:
    vendor = AddressList(OLD)
    sync = a_sync(tmp_path, vendor)
    await sync.run_once()
    async with serving():
        assert await connects(client, STRANGER, 0.3) is None
        async with listening_for_knocks(sync):
            assert await connects(client, OLD, 3.0) is not None
            await asyncio.sleep(0.4)
            assert len(vendor.asked) == 1


async def test_what_the_packets_put_into_the_sets_is_read_and_a_full_one_still_drops(
    client: Machine, tmp_path: Path
) -> None:
    await a_sync(tmp_path, AddressList(OLD)).run_once()
    names = tuple(KNOCKS.values())
    assert read_knocks(TABLE, names) == {}
    assert read_knocks("no_such_table", names) == {}
    async with serving():
        for source in STRANGERS:
            assert await connects(client, source, 0.3) is None
        found = read_knocks(TABLE, names)
        assert {str(address) for address in found} == set(STRANGERS)
        assert all(packets >= 1 for packets in found.values())
        many = ", ".join(f"77.{n >> 8}.{n & 255}.9" for n in range(1023))
        load(f"add element inet {TABLE} {KNOCKS[4]} {{ {many} }}")
        assert len(read_knocks(TABLE, names)) == 1025
        client.has("101.36.67.1")
        assert await connects(client, "101.36.67.1", 0.3) is None
        assert ip_address("101.36.67.1") not in read_knocks(TABLE, names)


@asynccontextmanager
async def repairing(sync: Sync, *tables: str) -> AsyncIterator[Drift]:
    nft_program = Nft()
    drift = Drift(
        sync,
        listen=lambda: nft_program.changes(tables or (f"inet {TABLE}",)),
        clock=SystemClock(),
        metrics=sync.metrics,
    )
    task = asyncio.create_task(drift.run())
    try:
        await asyncio.sleep(0.5)  # `nft monitor` says nothing when it begins
        yield drift
    finally:
        await ended([task])


def enforced() -> bool:
    text = nft("list", "ruleset")
    return f'counter name "unlisted_{PORT}" drop' in text and OLD in text


async def repaired_within() -> float:
    began = time.monotonic()
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(enforced):
            pass
    return time.monotonic() - began


@pytest.mark.parametrize(
    "damage",
    [
        ("flush", "ruleset"),
        ("delete", "table", "inet", TABLE),
        ("flush", "chain", "inet", TABLE, f"port_{PORT}"),
        ("flush", "set", "inet", TABLE, "ncs4"),
        ("insert", "rule", "inet", TABLE, f"port_{PORT}", "accept"),
        ("add", "table", "inet", TABLE, "{ flags dormant; }"),
        ("add", "element", "inet", TABLE, "ncs4", "{ 9.9.9.9 }"),
    ],
)
async def test_what_somebody_changes_is_repaired_at_once_and_said(
    tmp_path: Path, damage: tuple[str, ...]
) -> None:
    nft("flush", "ruleset")
    sync = a_sync(tmp_path, AddressList(OLD))
    await sync.run_once()
    good = nft("list", "table", "inet", TABLE)
    async with repairing(sync):
        nft(*damage)
        await until(lambda: "drift" in [r.get("cause") for r in sync.audit.recent()])
        assert await repaired_within() < 10
    assert nft("list", "table", "inet", TABLE) == good


async def flushed_again_and_again(folder: Path, times: int) -> list[float]:
    nft("flush", "ruleset")
    sync = a_sync(folder, AddressList(OLD))
    await sync.run_once()
    found = []
    async with repairing(sync):
        for _ in range(times):
            began = time.monotonic()
            await asyncio.to_thread(nft, "flush", "ruleset")
            await repaired_within()
            found.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
    return found


async def test_a_flushed_ruleset_is_repaired_within_a_hundred_milliseconds(tmp_path: Path) -> None:
    """Measured from before the hostile `nft` began; a machine that is busy is given some tries."""
    found = await flushed_again_and_again(tmp_path, 7)
    print("repaired after ms:", [round(seconds * 1000) for seconds in found])  # noqa: T201 - what was measured
    assert min(found) <= 0.1 or median(found) <= 0.4
    assert max(found) < 5


async def test_our_own_changes_are_no_drift(tmp_path: Path) -> None:
    nft("flush", "ruleset")
    vendor = AddressList(OLD)
    sync = a_sync(tmp_path, vendor)
    async with repairing(sync):
        for listed in ([OLD], [OLD, NEW], [NEW]):
            vendor.say(*listed)
            await sync.run_once()
        nft("add", "table", "inet", "theirs")
        await asyncio.sleep(0.3)
    causes = {record["cause"] for record in sync.audit.recent()}
    assert causes == {"schedule"}


async def test_the_sets_of_an_operator_are_filled_and_kept(tmp_path: Path) -> None:
    nft("flush", "ruleset")
    load(
        "table inet filter { set a4 { type ipv4_addr; flags timeout; }; "
        "set a6 { type ipv6_addr; flags timeout; }; chain in { tcp dport 443 ip saddr @a4 accept; }; }"
    )
    target = SetsTarget(set4="inet filter a4", set6="inet filter a6")
    sync = sync_of(tmp_path, AddressList(OLD, VENDOR[2]), target, rules=rules())
    await sync.run_once()
    async with repairing(sync, "inet filter"):
        nft("flush", "set", "inet", "filter", "a4")
        await until(lambda: OLD in nft("list", "set", "inet", "filter", "a4"))
    assert VENDOR[2] in nft("list", "set", "inet", "filter", "a6")
    assert "tcp dport 443 ip saddr @a4 accept" in nft("list", "ruleset")


async def test_break_glass_lets_everybody_in_until_the_kernel_ends_it(
    client: Machine, tmp_path: Path
) -> None:
    sync = a_sync(tmp_path, AddressList(OLD))
    await sync.run_once()
    async with serving():
        assert await connects(client, STRANGER, 0.3) is None
        sync.orders.open(2.5)
        await sync.bring_in_line(cause="open")
        assert await connects(client, STRANGER, 3.0) is not None
        # nobody does anything any more: the kernel ends it
        async with asyncio.timeout(10):
            while await connects(client, STRANGER, 0.3) is not None:
                pass
        assert await connects(client, OLD, 3.0) is not None


def killed_at(step: int, folder: Path, listed: tuple[str, ...]) -> bool:
    """Whether a process died at this step of a whole round (load, poll, save, apply, read back)."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            _round_that_dies(step, folder, listed)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status), "the round failed by itself"
    return os.WIFSIGNALED(status)


def _round_that_dies(step: int, folder: Path, listed: tuple[str, ...]) -> None:
    import sys

    left = [step]

    def trace(frame: object, event: str, _: object) -> None:
        name = frame.f_code.co_filename  # type: ignore[attr-defined]
        if event in {"call", "c_call"} and "scheduler/allowlist" in name:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), 9)

    async def work() -> None:
        sync = a_sync(folder, AddressList(*listed))
        await sync.apply_last_known_good()
        await sync.run_once()

    sys.setprofile(trace)
    asyncio.run(work())
    sys.setprofile(None)


def killed_everywhere(folder: Path, every: int) -> int:
    """Die at each `every`-th step of a rotation, start again, and see that nothing is missing."""
    deaths, step, turn = 0, 1, 0
    lists = [(OLD, VENDOR[2]), (NEW, VENDOR[3])]
    nft("flush", "ruleset")
    assert not killed_at(10**9, folder, lists[0])
    while True:
        turn += 1
        listed, before = lists[turn % 2], lists[(turn + 1) % 2]
        died = killed_at(step, folder, listed)
        text = nft("list", "ruleset")
        # dead or not: enforcing, and whoever was active before is still let in
        assert f'counter name "unlisted_{PORT}" drop' in text
        assert all(address in text for address in before), (step, text)
        assert not killed_at(10**9, folder, listed)
        text = nft("list", "ruleset")
        assert all(address in text for address in (*listed, *before)), (step, text)
        if not died:
            return deaths
        deaths, step = deaths + 1, step + every


@pytest.mark.timeout(120)
def test_killed_at_any_step_of_a_round_nothing_is_missing_and_nothing_open(tmp_path: Path) -> None:
    deaths = killed_everywhere(tmp_path, every=211)
    print(f"killed {deaths} times")  # noqa: T201 - what was measured
    assert deaths >= 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_every_tenth_step_nothing_is_missing(tmp_path: Path) -> None:
    deaths = killed_everywhere(tmp_path, every=10)
    print(f"killed {deaths} times")  # noqa: T201 - what was measured
    assert deaths >= 50
