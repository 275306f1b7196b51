"""The target aws-prefix-list, against a strict EC2."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.allowlist.ec2 import Ec2
from scheduler.allowlist.targets import LeaseLostError, Permit, Target, TargetError
from scheduler.allowlist.targets.aws_prefix_list import (
    AT_ONCE,
    EDITED,
    Pace,
    PrefixListTarget,
    calls,
)
from tests.aws.conftest import Account
from tests.fakes.strict_ec2 import StrictEc2
from tests.scheduler.allowlist.contract import TargetContract

A, B, C = (ip_address(f"101.36.1.{n}") for n in (1, 2, 3))
V6 = ip_address("2606:4700::1")
PACE = Pace(patience=5.0, pause=0.01)


def many(count: int, *, start: int = 0) -> dict[object, None]:
    return {
        ip_address(f"101.{36 + n // 250}.7.{n % 250}"): None for n in range(start, start + count)
    }


@pytest.fixture
async def name(account: Account) -> str:
    return await account.prefix_list()


@pytest.fixture
def target(ec2: Ec2, name: str) -> PrefixListTarget:
    return PrefixListTarget(ec2, ipv4=name, pace=PACE)


class TestPrefixList(TargetContract):
    @pytest.fixture
    async def target(self, ec2: Ec2, account: Account, strict: StrictEc2) -> Target:
        self.account, self.strict = account, strict
        self.theirs = await account.prefix_list(tagged=False)
        await account.edit(self.theirs, AddEntries=[{"Cidr": "10.0.0.0/8", "Description": "x"}])
        lists = [await account.prefix_list(family) for family in (4, 6)]
        return PrefixListTarget(ec2, ipv4=lists[0], ipv6=lists[1], pace=PACE)

    async def others(self) -> object:
        return await self.account.entries(self.theirs)

    @contextmanager
    def broken_after(self, steps: int) -> Iterator[None]:
        self.strict.calls_left = steps
        yield
        self.strict.calls_left = None


async def test_one_change_is_one_call_and_bears_our_mark(
    target: PrefixListTarget, strict: StrictEc2, account: Account, name: str
) -> None:
    await target.apply({A: None, B: None})
    strict.calls.clear()
    await target.apply({B: None, C: None}, Permit("0123456789ab", 7))
    assert strict.changes() == ["ModifyManagedPrefixList"]
    assert await account.entries(name) == {
        "101.36.1.2/32": "agora-sidecar",
        "101.36.1.3/32": "agora-sidecar epoch=7 plan=0123456789ab",
    }


async def test_what_is_right_already_is_not_touched(
    target: PrefixListTarget, strict: StrictEc2
) -> None:
    await target.apply({A: None})
    strict.calls.clear()
    await target.apply({A: 60.0})
    assert strict.changes() == []


async def test_more_than_a_call_takes_is_added_before_anything_goes(
    ec2: Ec2, strict: StrictEc2, account: Account
) -> None:
    """terraform-provider-aws#26639: a hundred entries for each call."""
    strict.page_size = 100
    name = await account.prefix_list(entries=400)
    target = PrefixListTarget(ec2, ipv4=name, pace=PACE)
    await target.apply(many(150))
    strict.calls.clear()
    await target.apply(many(150, start=150))
    given = [g for action, g in strict.calls if action == "ModifyManagedPrefixList"]
    assert len(given) == 3
    kinds = ["".join(sorted({key[0] for key in g if ".Cidr" in key})) for g in given]
    assert kinds == ["A", "AR", "R"]
    assert len(await account.entries(name)) == 150


async def test_a_list_without_room_is_changed_in_steps_that_fit(
    ec2: Ec2, strict: StrictEc2, account: Account
) -> None:
    strict.page_size = 100
    name = await account.prefix_list(entries=120)
    target = PrefixListTarget(ec2, ipv4=name, pace=PACE)
    await target.apply(many(120))
    await target.apply(many(120, start=120))
    current = await target.read()
    assert current is not None
    assert set(current.admitted) == set(many(120, start=120))


async def test_a_list_that_is_too_long_is_refused_before_the_first_call(
    ec2: Ec2, strict: StrictEc2, account: Account
) -> None:
    """aws-cloudfront-samples#8, pingdom-probes-aws-whitelist#8: 33 of 59, and nobody noticed."""
    name = await account.prefix_list(entries=2)
    target = PrefixListTarget(ec2, ipv4=name, pace=PACE)
    await target.apply({A: None})
    strict.calls.clear()
    with pytest.raises(TargetError, match=r"takes 2 entries, not 3\. Raise its MaxEntries"):
        await target.apply({A: None, B: None, C: None})
    assert strict.changes() == []


async def test_a_version_that_somebody_else_overtook_is_read_and_planned_anew(
    target: PrefixListTarget, strict: StrictEc2, account: Account, name: str
) -> None:
    """terraform-provider-aws#26034: a mismatch left the list half changed."""
    await target.apply({A: None})

    async def theirs() -> None:
        await account.edit(name, AddEntries=[{"Cidr": "9.9.9.9/32"}])

    strict.before_change = theirs
    await target.apply({B: None})
    assert set(await account.entries(name)) == {"101.36.1.2/32"}


async def test_somebody_who_never_ends_is_named(
    target: PrefixListTarget, strict: StrictEc2, account: Account, name: str
) -> None:
    numbers = iter(range(1, 100))

    async def theirs() -> None:
        await account.edit(name, AddEntries=[{"Cidr": f"9.9.9.{next(numbers)}/32"}])
        strict.before_change = theirs

    strict.before_change = theirs
    with pytest.raises(TargetError, match="changed by somebody else 5 times in a row"):
        await target.apply({B: None})


async def test_a_newer_leader_that_writes_meanwhile_is_left_to_it(
    target: PrefixListTarget, strict: StrictEc2, account: Account, name: str
) -> None:
    await target.apply({A: None}, Permit("0123456789ab", 7))

    async def newer() -> None:
        words = "agora-sidecar epoch=8 plan=ba9876543210"
        await account.edit(name, AddEntries=[{"Cidr": "101.36.1.3/32", "Description": words}])

    strict.before_change = newer
    with pytest.raises(LeaseLostError, match="a newer leader has written"):
        await target.apply({B: None}, Permit("0123456789ab", 7))
    assert set(await account.entries(name)) == {"101.36.1.1/32", "101.36.1.3/32"}


async def test_a_store_that_forgot_its_numbers_keeps_nobody_out(target: PrefixListTarget) -> None:
    """Fences begin at 1 again when Redis comes back empty."""
    await target.apply({A: None}, Permit("0123456789ab", 70))
    await target.apply({B: None}, Permit("0123456789ab", 1))
    current = await target.read()
    assert current is not None
    assert set(current.admitted) == {B}


async def test_a_list_that_is_being_changed_is_waited_for(
    target: PrefixListTarget, strict: StrictEc2
) -> None:
    strict.looks_until_done = 5
    await target.apply({A: None})
    current = await target.read()
    assert current is not None
    assert set(current.admitted) == {A}


async def test_a_change_that_does_not_end_is_given_up(
    ec2: Ec2, strict: StrictEc2, name: str
) -> None:
    strict.looks_until_done = 1_000_000
    target = PrefixListTarget(ec2, ipv4=name, pace=Pace(patience=0.1, pause=0.01))
    with pytest.raises(TargetError, match=r"is modify-in-progress for 0\.1 s"):
        await target.apply({A: None})


async def test_a_change_that_failed_at_aws_says_why_and_can_be_repeated(
    target: PrefixListTarget, strict: StrictEc2
) -> None:
    strict.failed_changes = 1
    with pytest.raises(TargetError, match="could not change it: a quota is reached"):
        await target.apply({A: None})
    await target.apply({A: None})
    current = await target.read()
    assert current is not None
    assert set(current.admitted) == {A}


async def test_an_answer_that_was_lost_is_found_out(
    target: PrefixListTarget, strict: StrictEc2, account: Account, name: str
) -> None:
    """boto3 repeats the call with a version that is stale by then."""
    strict.lost_answers = 1
    await target.apply({A: None})
    assert set(await account.entries(name)) == {"101.36.1.1/32"}


async def test_throttling_is_waited_out_a_little(
    target: PrefixListTarget, strict: StrictEc2
) -> None:
    strict.throttled = 1
    await target.apply({A: None})
    strict.throttled = 100
    with pytest.raises(TargetError, match="RequestLimitExceeded"):
        await target.read()


async def test_what_somebody_edited_is_seen_and_put_right(
    target: PrefixListTarget, account: Account, name: str
) -> None:
    await target.apply({A: None})
    await account.edit(name, AddEntries=[{"Cidr": "0.0.0.0/0", "Description": "for a test"}])
    current = await target.read()
    assert current is not None
    assert (set(current.admitted), current.form) == ({A}, EDITED)
    await target.apply({A: None})
    assert set(await account.entries(name)) == {"101.36.1.1/32"}


async def test_a_list_that_is_gone_is_an_alarm_and_never_made(ec2: Ec2, strict: StrictEc2) -> None:
    target = PrefixListTarget(ec2, ipv4="pl-0123456789abcdef0", pace=PACE)
    for act in (target.read(), target.apply({A: None}), target.uninstall()):
        with pytest.raises(TargetError, match="is not there, or in another region; we never make"):
            await act
    assert strict.changes() == []


async def test_a_list_without_our_tag_or_of_another_family_is_left_alone(
    ec2: Ec2, account: Account
) -> None:
    theirs, six = await account.prefix_list(tagged=False), await account.prefix_list(6)
    with pytest.raises(TargetError, match="has no tag agora-sidecar"):
        await PrefixListTarget(ec2, ipv4=theirs, pace=PACE).apply({A: None})
    with pytest.raises(TargetError, match="is one of IPv6"):
        await PrefixListTarget(ec2, ipv4=six, pace=PACE).apply({A: None})
    assert await account.entries(theirs) == {}


async def test_without_credentials_or_an_api_it_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = PrefixListTarget(Ec2(endpoint="http://127.0.0.1:1"), ipv4="pl-0123456789abcdef0")
    with pytest.raises(TargetError, match="NoRegionError"):
        await target.read()
    gone = Ec2(region="eu-central-1", endpoint="http://127.0.0.1:1")
    with pytest.raises(TargetError, match="EndpointConnectionError"):
        await PrefixListTarget(gone, ipv4="pl-0123456789abcdef0").read()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    nobody = Ec2(region="eu-central-1", endpoint="http://127.0.0.1:1")
    with pytest.raises(TargetError, match="NoCredentialsError"):
        await PrefixListTarget(nobody, ipv4="pl-0123456789abcdef0").read()


async def test_an_api_that_does_not_answer_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.allowlist.ec2.READ_TIMEOUT", 0.2)
    monkeypatch.setattr("scheduler.allowlist.ec2.ATTEMPTS", 1)
    kept = []

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.append(writer)

    silent = await asyncio.start_server(keep, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    target = PrefixListTarget(
        Ec2(region="eu-central-1", endpoint=f"http://127.0.0.1:{port}"), ipv4="pl-0123456789abcdef0"
    )
    ticks = 0
    reading = asyncio.create_task(target.read())
    while not reading.done():
        ticks += 1
        await asyncio.sleep(0.01)
    with pytest.raises(TargetError, match="ReadTimeoutError"):
        await reading
    assert ticks > 5
    for writer in kept:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    silent.close()


entries = st.lists(st.integers(0, 400).map(str), unique=True, max_size=250)


@given(before=entries, after=entries, spare=st.integers(0, 150))
def test_any_prefix_of_the_calls_is_safe(
    before: Sequence[str], after: Sequence[str], spare: int
) -> None:
    limit = max(len(before), len(after)) + spare
    add = [e for e in after if e not in before]
    remove = [e for e in before if e not in after]
    there = set(before)
    for adds, removes in calls(add, remove, room=limit - len(before)):
        assert 0 < len(adds) + len(removes) <= AT_ONCE
        assert set(removes) <= there and not set(adds) & there
        there = (there - set(removes)) | set(adds)
        assert set(before) & set(after) <= there <= set(before) | set(after)
        assert len(there) <= limit
    assert there == set(after)
