"""The target aws-security-group, against a strict EC2."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.allowlist.ec2 import Ec2
from scheduler.allowlist.group_rules import Rule, plan_rules
from scheduler.allowlist.targets import LeaseLostError, Permit, Target, TargetError
from scheduler.allowlist.targets.aws_security_group import EDITED, Pace, SecurityGroupTarget
from tests.aws.conftest import Account
from tests.fakes.strict_ec2 import StrictEc2
from tests.scheduler.allowlist.contract import TargetContract

PORT = 443
A, B, C, D = (ip_address(f"101.36.1.{n}") for n in (1, 2, 3, 4))
V6 = ip_address("2606:4700::1")
PACE = Pace(patience=5.0, pause=0.01)


def made(ec2: Ec2, group: str, *, max_rules: int = 60, port: int = PORT) -> SecurityGroupTarget:
    return SecurityGroupTarget(ec2, group=group, port=port, max_rules=max_rules, pace=PACE)


@pytest.fixture
async def group(account: Account) -> str:
    name = await account.group()
    await account.admit(name, "10.0.0.0/8")
    await account.admit(name, "198.51.100.7/32", port=PORT, words="our probe")
    return name


@pytest.fixture
def target(ec2: Ec2, group: str) -> SecurityGroupTarget:
    return made(ec2, group)


async def ours(account: Account, group: str) -> dict[str, str]:
    return {
        rule.get("CidrIpv4") or rule["CidrIpv6"]: rule["SecurityGroupRuleId"]
        for rule in await account.rules(group)
        if rule.get("Description", "").startswith("agora-sidecar")
    }


class TestSecurityGroup(TargetContract):
    max_rules = 60
    page_size, old_answers = 50, 0

    @pytest.fixture
    def target(self, ec2: Ec2, group: str, account: Account, strict: StrictEc2) -> Target:
        self.account, self.strict, self.group = account, strict, group
        strict.page_size, strict.old_answers = self.page_size, self.old_answers
        return made(ec2, group, max_rules=self.max_rules)

    async def others(self) -> object:
        return [
            rule
            for rule in await self.account.rules(self.group)
            if not rule.get("Description", "").startswith("agora-sidecar")
        ]

    @contextmanager
    def broken_after(self, steps: int) -> Iterator[None]:
        self.strict.calls_left = steps
        yield
        self.strict.calls_left = None


@pytest.mark.slow
class TestSecurityGroupWithoutRoom(TestSecurityGroup):
    """Two of four rules of IPv4 are those of others."""

    max_rules = 4


@pytest.mark.slow
@pytest.mark.timeout(180)  # some thousand calls
class TestSecurityGroupShownLateAndInPages(TestSecurityGroup):
    page_size, old_answers = 3, 1


async def test_what_is_new_is_let_in_and_seen_before_what_is_old_goes(
    target: SecurityGroupTarget, strict: StrictEc2, account: Account, group: str
) -> None:
    """aws-load-balancer-controller#3639: revoke first, then add, was an outage."""
    await target.apply({A: None, B: None})
    kept = (await ours(account, group))["101.36.1.2/32"]
    strict.calls.clear()
    strict.old_answers = 3
    await target.apply({B: None, C: None, V6: None}, Permit("0123456789ab", 7))
    assert strict.changes() == ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"]
    revoke = next(g for a, g in strict.calls if a.startswith("Revoke"))
    assert [key for key in revoke if "Cidr" in key] == []  # by its id alone
    found = await ours(account, group)
    assert found.keys() == {"101.36.1.2/32", "101.36.1.3/32", "2606:4700::1/128"}
    assert found["101.36.1.2/32"] == kept


async def test_what_cannot_be_read_back_keeps_what_is_old(
    ec2: Ec2, strict: StrictEc2, account: Account, group: str
) -> None:
    """aws-load-balancer-controller#4889: a stale answer, and everything was revoked."""
    await made(ec2, group).apply({A: None})
    pace = Pace(patience=0.1, pause=0.01)
    target = SecurityGroupTarget(ec2, group=group, port=PORT, max_rules=60, pace=pace)
    strict.old_answers = 1_000_000
    with pytest.raises(TargetError, match="1 new rules cannot be read back"):
        await target.apply({B: None})
    assert (await ours(account, group)).keys() == {"101.36.1.1/32", "101.36.1.2/32"}


async def test_without_room_old_rules_become_new_ones_in_place(
    ec2: Ec2, strict: StrictEc2, account: Account, group: str
) -> None:
    """piculet#11, cumulus#33: a full group forced others to revoke first."""
    target = made(ec2, group, max_rules=4)
    await target.apply({A: None, B: None})
    strict.calls.clear()
    await target.apply({C: None, D: None})
    assert strict.changes() == ["ModifySecurityGroupRules"]
    assert (await ours(account, group)).keys() == {"101.36.1.3/32", "101.36.1.4/32"}


async def test_a_quota_lower_than_its_setting_is_found_out(
    ec2: Ec2, strict: StrictEc2, account: Account, group: str
) -> None:
    strict.page_size = 1000
    await account.admit(group, *(f"10.1.{number}.0/24" for number in range(54)))
    target = made(ec2, group, max_rules=1000)  # the account has 60
    await target.apply({ip_address(f"101.36.2.{n}"): None for n in (1, 2, 3)})
    await target.apply({ip_address(f"101.36.3.{n}"): None for n in (1, 2, 3)})
    assert (await ours(account, group)).keys() == {f"101.36.3.{n}/32" for n in (1, 2, 3)}


async def test_what_has_no_place_is_named_and_the_rest_is_let_in(
    ec2: Ec2, account: Account, group: str
) -> None:
    """update-aws-ip-ranges#1, aws-cloudfront-samples#11: some rules, and no word of the others."""
    target = made(ec2, group, max_rules=4)
    await target.apply({A: None})
    with pytest.raises(TargetError, match=r"no room for 101\.36\.1\.4\. Raise the quota"):
        await target.apply({B: None, C: None, D: None})
    assert (await ours(account, group)).keys() == {"101.36.1.2/32", "101.36.1.3/32"}


async def test_a_rule_of_somebody_else_for_the_same_address_is_said_and_left(
    target: SecurityGroupTarget, account: Account, group: str
) -> None:
    with pytest.raises(TargetError, match=r"another rule lets 198\.51\.100\.7 in to 443 already"):
        await target.apply({A: None, ip_address("198.51.100.7"): None})
    assert (await ours(account, group)).keys() == {"101.36.1.1/32"}
    assert len(await account.rules(group)) == 3


async def test_a_rule_of_ours_that_somebody_changed_is_put_right(
    target: SecurityGroupTarget, account: Account, group: str
) -> None:
    await target.apply({A: None})
    await account.admit(group, "0.0.0.0/0", port=PORT, words="agora-sidecar, wider")
    await account.admit(group, "101.36.1.9/32", port=80, words="agora-sidecar")
    current = await target.read()
    assert current is not None
    assert (set(current.admitted), current.form) == ({A}, EDITED)
    await target.apply({A: None})
    assert (await ours(account, group)).keys() == {"101.36.1.1/32"}
    assert len(await account.rules(group)) == 3


async def test_a_port_that_was_configured_before_is_closed_after_the_new_one_opened(
    ec2: Ec2, strict: StrictEc2, account: Account, group: str
) -> None:
    await made(ec2, group, port=8443).apply({A: None})
    strict.calls.clear()
    await made(ec2, group).apply({A: None})
    assert strict.changes() == ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"]
    (rule,) = [r for r in await account.rules(group) if "agora" in r["Description"]]
    assert rule["FromPort"] == PORT


async def test_a_rule_that_somebody_revokes_or_adds_meanwhile_is_planned_anew(
    target: SecurityGroupTarget, strict: StrictEc2, account: Account, group: str
) -> None:
    strict.old_answers = 0
    await target.apply({A: None})

    async def same() -> None:
        await account.admit(group, "101.36.1.2/32", port=PORT, words="agora-sidecar, by hand")

    strict.before_change = same
    await target.apply({A: None, B: None})
    assert (await ours(account, group)).keys() == {"101.36.1.1/32", "101.36.1.2/32"}


async def test_a_newer_leader_that_writes_meanwhile_is_left_to_it(
    target: SecurityGroupTarget, strict: StrictEc2, account: Account, group: str
) -> None:
    strict.old_answers = 0
    await target.apply({A: None}, Permit("0123456789ab", 7))

    async def newer() -> None:
        words = "agora-sidecar epoch=8 plan=ba9876543210"
        await account.admit(group, "101.36.1.2/32", port=PORT, words=words)

    strict.before_change = newer
    with pytest.raises(LeaseLostError, match="a newer leader has written"):
        await target.apply({B: None}, Permit("0123456789ab", 7))
    assert (await ours(account, group)).keys() == {"101.36.1.1/32", "101.36.1.2/32"}


async def test_a_group_that_is_gone_is_an_alarm_and_never_made(ec2: Ec2, strict: StrictEc2) -> None:
    target = made(ec2, "sg-0123456789abcdef0")
    for act in (target.read(), target.apply({A: None}), target.uninstall()):
        with pytest.raises(TargetError, match="is not there, or in another region; we never make"):
            await act
    assert strict.changes() == []


async def test_an_answer_that_was_lost_is_found_out(
    target: SecurityGroupTarget, strict: StrictEc2, account: Account, group: str
) -> None:
    """boto3 repeats the call, and EC2 calls it a duplicate."""
    strict.lost_answers = 1
    await target.apply({A: None, B: None})
    assert (await ours(account, group)).keys() == {"101.36.1.1/32", "101.36.1.2/32"}


NETWORKS = [ip_network(f"101.36.1.{n}/32") for n in range(6)]
NETWORKS += [ip_network(f"2606:4700::{n}/128") for n in range(3)]
NETWORKS += [ip_network("0.0.0.0/0"), ip_network("101.36.0.0/16")]
facts = st.tuples(
    st.sampled_from([*NETWORKS, None]),
    st.booleans(),
    st.sampled_from(["", "theirs", "agora-sidecar", "agora-sidecar epoch=3 plan=a"]),
)


@given(
    found=st.lists(facts, max_size=14),
    wanted=st.lists(st.sampled_from([n.network_address for n in NETWORKS[:9]]), unique=True),
    quota=st.integers(0, 14),
)
def test_a_change_of_rules_keeps_every_promise(
    found: Sequence[tuple[object, bool, str]], wanted: Sequence[object], quota: int
) -> None:
    rules = [Rule(f"sgr-{n}", *fact) for n, fact in enumerate(found)]  # type: ignore[arg-type]
    mine = {rule.id: rule for rule in rules if rule.ours}
    change = plan_rules(rules, wanted, quota=quota)  # type: ignore[arg-type]
    gone = {*change.revoke, *change.replace}
    assert gone <= mine.keys()
    assert len(change.revoke) + len(change.replace) == len(gone)
    kept = {rule.address for rule in mine.values() if rule.id not in gone}
    assert {r.address for r in mine.values()} & set(wanted) <= kept
    after = kept | set(change.authorize) | set(change.replace.values())
    assert None not in kept
    assert after <= set(wanted)
    assert after | set(change.crowded_out) | set(change.taken) == set(wanted)
    for version in (4, 6):
        of = [r for r in rules if r.network and r.network.version == version]
        new = [a for a in change.authorize if a.version == version]
        assert not new or len(of) + len(new) <= quota
