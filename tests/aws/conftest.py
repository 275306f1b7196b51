"""A real moto server behind a strict EC2, and an account in which objects can be made."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from scheduler.allowlist.ec2 import Ec2
from tests.fakes.strict_ec2 import StrictEc2

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The server's URL; objects of one test are not another's."""
    code = (
        "from werkzeug.serving import make_server; from moto.server import DomainDispatcherApplication,"
        " create_backend_app; s = make_server('127.0.0.1', 0, DomainDispatcherApplication("
        "create_backend_app), threaded=True); print(s.server_port, flush=True); s.serve_forever()"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    url = f"http://127.0.0.1:{int(process.stdout.readline())}/"
    deadline = time.monotonic() + 20
    while True:
        try:
            build_opener(ProxyHandler({})).open(f"{url}moto-api/", timeout=5).close()
            break
        except OSError:
            assert time.monotonic() < deadline
    yield url
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
async def strict(moto: str) -> AsyncIterator[StrictEc2]:
    async with StrictEc2(moto).serve() as server:
        yield server


@pytest.fixture
def ec2(strict: StrictEc2) -> Ec2:
    return Ec2(region=REGION, endpoint=strict.url)


class Account:
    """The operator's hands: makes objects, looks at them and edits them, past the strict EC2."""

    def __init__(self, url: str) -> None:
        self.ec2 = Ec2(region=REGION, endpoint=url)

    async def prefix_list(self, family: int = 4, *, entries: int = 64, tagged: bool = True) -> str:
        tag = [{"Key": "agora-sidecar" if tagged else "other", "Value": ""}]
        answer = await self.ec2.call(
            "create_managed_prefix_list",
            PrefixListName=f"agora-v{family}",
            AddressFamily=f"IPv{family}",
            MaxEntries=entries,
            TagSpecifications=[{"ResourceType": "prefix-list", "Tags": tag}],
        )
        return str(answer["PrefixList"]["PrefixListId"])

    async def version(self, prefix_list: str) -> int:
        answer = await self.ec2.call("describe_managed_prefix_lists", PrefixListIds=[prefix_list])
        return int(answer["PrefixLists"][0]["Version"])

    async def entries(self, prefix_list: str) -> dict[str, str]:
        answer = await self.ec2.call(
            "get_managed_prefix_list_entries",
            PrefixListId=prefix_list,
            TargetVersion=await self.version(prefix_list),
        )
        return {e["Cidr"]: e.get("Description", "") for e in answer.get("Entries", ())}

    async def edit(self, prefix_list: str, **changes: list[dict[str, str]]) -> None:
        await self.ec2.call(
            "modify_managed_prefix_list",
            PrefixListId=prefix_list,
            CurrentVersion=await self.version(prefix_list),
            **changes,
        )

    async def group(self) -> str:
        vpc = await self.ec2.call("create_vpc", CidrBlock="10.0.0.0/16")
        answer = await self.ec2.call(
            "create_security_group",
            GroupName="callbacks",
            Description="callbacks",
            VpcId=vpc["Vpc"]["VpcId"],
        )
        return str(answer["GroupId"])

    async def admit(self, group: str, *cidrs: str, port: int = 22, words: str = "theirs") -> None:
        await self.ec2.call(
            "authorize_security_group_ingress",
            GroupId=group,
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": port,
                    "ToPort": port,
                    "IpRanges": [{"CidrIp": cidr, "Description": words} for cidr in cidrs],
                }
            ],
        )

    async def rules(self, group: str) -> list[dict[str, Any]]:
        filters = [{"Name": "group-id", "Values": [group]}]
        found = await self.ec2.pages(
            "describe_security_group_rules", "SecurityGroupRules", Filters=filters
        )
        return [dict(rule) for rule in found if not rule["IsEgress"]]


@pytest.fixture
def account(moto: str) -> Account:
    return Account(moto)
