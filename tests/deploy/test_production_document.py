"""The way to production, as it is written: its settings are valid, its files are there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "production.md").read_text()
BLOCKS = re.findall(r"^( *)```(\w+)\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
AWS = ROOT / "deploy" / "aws"


def blocks(language: str) -> list[str]:
    return [
        re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        for indent, kind, text in BLOCKS
        if kind == language
    ]


def environment(setting: str) -> dict[str, str]:
    """The block of an env file in which this setting stands."""
    [text] = [text for text in blocks("sh") if text.startswith(f"{setting}=")]
    return dict(line.split("=", 1) for line in text.splitlines())


def check(config: Path, process: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agora_sidecar", "config", "check", "--for", process],
        env={"PATH": os.environ["PATH"], "SIDECAR_CONFIG": str(config), **given},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("process", "first"),
    [
        ("receiver", "SIDECAR_RECEIVER__SECRET"),
        ("scheduler", "SIDECAR_AGORA__CUSTOMER_SECRET"),
    ],
)
def test_the_settings_for_a_host_are_valid(process: str, first: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(blocks("toml")[0])
    run = check(config, process, environment(first))
    assert run.returncode == 0, run.stderr


def test_the_settings_of_a_rotation_are_valid(tmp_path: Path) -> None:
    for name in ("receiver_secret", "receiver_secret_new"):
        (tmp_path / name).write_text(f"the-{name}")
    config = tmp_path / "config.toml"
    config.write_text(blocks("toml")[-1].replace("/run/secrets", str(tmp_path)))
    run = check(config, "receiver", {})
    assert run.returncode == 0, run.stderr


def test_every_block_of_commands_is_shell() -> None:
    for text in blocks("sh"):
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"deploy/[\w./*-]*[\w*]", TEXT))
    assert len(named) > 6
    made = {"deploy/compose/secrets/gateway_token"}  # by prepare.sh
    assert [name for name in named - made if not list(ROOT.glob(name))] == []


def test_each_way_has_its_chapter() -> None:
    chapters = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    ways = ["A host with systemd", "Compose", "Kubernetes", "AWS"]
    assert chapters == [*ways, "From observe to enforce", "Rotate a secret", "Upgrade"]


@pytest.mark.parametrize("name", ["prefix-list", "security-group"])
def test_a_policy_changes_one_resource_and_reads_one_region(name: str) -> None:
    policy = json.loads((AWS / f"{name}.json").read_text())
    for statement in policy["Statement"]:
        asked = statement["Action"]
        actions = [asked] if isinstance(asked, str) else asked
        assert not [action for action in actions if "*" in action]
        if statement["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in actions)
            assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": "REGION"}}
        else:
            # a group's rules are resources of their own, bound by the statement for the group
            kinds = (
                f"arn:aws:ec2:REGION:ACCOUNT:{name}/",
                f"arn:aws:ec2:REGION:ACCOUNT:{name}-rule/",
            )
            assert statement["Resource"].startswith(kinds)
