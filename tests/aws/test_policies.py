"""The policies of deploy/aws against the calls that are really made, and what a doctor says."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from agora_sidecar.cli.findings import of_remarks
from scheduler.allowlist.ec2 import Ec2
from scheduler.allowlist.targets import Remark, TargetError
from scheduler.allowlist.targets.aws_prefix_list import Pace, PrefixListTarget
from scheduler.allowlist.targets.aws_security_group import SecurityGroupTarget
from scheduler.assembly import allowlist_targets
from scheduler.settings import AllowlistSettings
from tests.aws.conftest import Account
from tests.fakes.strict_ec2 import StrictEc2

FOLDER = Path(__file__).parents[2] / "deploy" / "aws"
A, B, C, D = (ip_address(f"101.36.1.{n}") for n in (1, 2, 3, 4))
PACE = Pace(patience=5.0, pause=0.01)


def policy(name: str, word: str, value: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text().replace(word, value))
    return found


def actions(found: dict[str, Any]) -> set[str]:
    named = [s["Action"] for s in found["Statement"]]
    return {a for item in named for a in ([item] if isinstance(item, str) else item)}


def said(remarks: list[Remark]) -> list[tuple[str, str]]:
    return [(remark.kind, remark.text) for remark in remarks if remark.kind != "ok"]


@pytest.fixture
async def prefix_list(account: Account) -> str:
    return await account.prefix_list()


@pytest.fixture
async def group(account: Account) -> str:
    return await account.group()


async def test_the_policy_of_the_prefix_list_is_just_what_is_needed(
    ec2: Ec2, strict: StrictEc2, prefix_list: str
) -> None:
    strict.policy = policy("prefix-list", "PREFIX_LIST", prefix_list)
    target = PrefixListTarget(ec2, ipv4=prefix_list, pace=PACE)
    await target.apply({A: None, B: None})
    await target.apply({B: None, C: None})
    await target.read()
    await target.uninstall()
    assert {f"ec2:{action}" for action, _ in strict.calls} == actions(strict.policy)
    assert said(list(await target.examine())) == []


async def test_the_policy_of_the_security_group_is_just_what_is_needed(
    ec2: Ec2, strict: StrictEc2, group: str
) -> None:
    strict.policy = policy("security-group", "SECURITY_GROUP", group)
    target = SecurityGroupTarget(ec2, group=group, port=443, max_rules=3)
    await target.apply({A: None, B: None})
    await target.apply({C: None, D: None})
    await target.uninstall()
    assert {f"ec2:{action}" for action, _ in strict.calls} == actions(strict.policy)
    assert said(list(await target.examine())) == []


async def test_another_object_cannot_be_changed_with_these_rights(
    ec2: Ec2, strict: StrictEc2, account: Account, prefix_list: str, group: str
) -> None:
    strict.policy = policy("prefix-list", "PREFIX_LIST", prefix_list)
    other = PrefixListTarget(ec2, ipv4=await account.prefix_list(), pace=PACE)
    with pytest.raises(TargetError, match="UnauthorizedOperation"):
        await other.apply({A: None})
    strict.policy = policy("security-group", "SECURITY_GROUP", group)
    target = SecurityGroupTarget(ec2, group=await account.group(), port=443, max_rules=60)
    with pytest.raises(TargetError, match="UnauthorizedOperation"):
        await target.apply({A: None})


async def test_rights_that_are_missing_or_too_wide_are_said(
    ec2: Ec2, strict: StrictEc2, account: Account, prefix_list: str, group: str
) -> None:
    lists = PrefixListTarget(ec2, ipv4=prefix_list, pace=PACE)
    rules = SecurityGroupTarget(ec2, group=group, port=443, max_rules=60)
    await account.admit(group, "0.0.0.0/0", port=443)
    strict.policy = {"Statement": [{"Action": "ec2:*", "Resource": "*"}]}
    assert said(list(await lists.examine())) == [
        ("warning", f"{prefix_list} might even be deleted")
    ]
    assert said(list(await rules.examine())) == [
        ("warning", f"{group} might even be deleted"),
        ("warning", "another rule opens 443 to the world"),
    ]
    reading = ["ec2:Describe*", "ec2:Get*"]
    strict.policy = {"Statement": [{"Action": reading, "Resource": "*"}]}
    assert said(list(await lists.examine())) == [("problem", f"{prefix_list} may not be changed")]
    kinds = [kind for kind, _ in said(list(await rules.examine()))]
    assert kinds == ["problem", "problem", "warning"]
    (finding,) = of_remarks("t", [Remark("warning", "x", "do y")])
    assert finding.line() == "warning allow-list: t: x. Do y"


async def test_the_settings_become_these_targets(
    strict: StrictEc2, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", strict.url)
    lists = [await account.prefix_list(family) for family in (4, 6)]
    group = await account.group()
    settings = AllowlistSettings.model_validate(
        {
            "targets": [
                {
                    "kind": "aws-prefix-list",
                    "ipv4": lists[0],
                    "ipv6": lists[1],
                    "region": "eu-central-1",
                },
                {
                    "kind": "aws-security-group",
                    "group": group,
                    "port": 443,
                    "region": "eu-central-1",
                },
            ]
        }
    )
    targets = allowlist_targets(settings)
    assert [target.name for target in targets] == [
        f"aws-prefix-list:{lists[0]}+{lists[1]}",
        f"aws-security-group:{group}:443",
    ]
    assert all(target.shared and not target.timed for target in targets)
    for target in targets:
        await target.apply({A: None})
        current = await target.read()
        assert current is not None
        assert set(current.admitted) == {A}
