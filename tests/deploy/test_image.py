import asyncio
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("deploy/requirements.lock", "deploy/aws.lock", "deploy/build.lock")
PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+)(?P<marker> ;[^\\]*)? \\")


def instructions() -> list[str]:
    """The Dockerfile's instructions, each on one line."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line]


def final_stage() -> list[str]:
    found = instructions()
    last = max(index for index, line in enumerate(found) if line.startswith("FROM"))
    return found[last:]


def pins(lock: str) -> Iterator[tuple[str, str, int]]:
    """Name, version and number of hashes of each pinned distribution."""
    text = (ROOT / lock).read_text()
    for block in re.split(r"\n(?=\S)", text):
        if not block.startswith("#"):
            match = PIN.match(block)
            assert match, block
            name = canonicalize_name(match["name"])
            yield name, match["version"], block.count("--hash=sha256:")


def project() -> dict[str, list[str]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    usual = document["project"]["dependencies"]
    return {
        "deploy/requirements.lock": usual,
        "deploy/aws.lock": usual + document["project"]["optional-dependencies"]["aws"],
        "deploy/build.lock": document["build-system"]["requires"],
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_pins_every_dependency_as_the_project_wants_it(lock: str) -> None:
    pinned = {name: version for name, version, _ in pins(lock)}
    for requirement in map(Requirement, project()[lock]):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_an_image_for_aws_has_the_same_and_more() -> None:
    usual, aws = ({n: v for n, v, _ in pins(lock)} for lock in LOCKS[:2])
    assert usual.items() < aws.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    counts = {name: hashes for name, _, hashes in pins(lock)}
    assert counts
    assert [name for name, hashes in counts.items() if not hashes] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_says_nothing_of_where_the_files_come_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "index-url" not in text


def test_the_image_installs_by_hash_alone() -> None:
    installs = [line for line in instructions() if re.search(r"pip \S*( \S+)* ?install", line)]
    assert installs
    for line in installs:
        for command in re.findall(r"pip (?:--python \S+ )?install.*?(?=&&|$)", line):
            assert "--require-hashes" in command or "--no-index" in command, command


def test_the_image_runs_as_a_user_without_rights() -> None:
    users = [line.split()[1] for line in final_stage() if line.startswith("USER")]
    assert users == ["10001:10001"]


def test_the_image_keeps_data_on_a_volume_only() -> None:
    assert "VOLUME /var/lib/agora-sidecar" in final_stage()


def test_no_file_of_a_working_directory_stands_in_for_a_module_in_the_image() -> None:
    [environment] = [line for line in final_stage() if line.startswith("ENV")]
    assert "PYTHONSAFEPATH=1" in environment.split()


async def healthy(url: str) -> bool:
    """What the image's health check says, run as the engine would."""
    [line] = [line for line in final_stage() if line.startswith("HEALTHCHECK")]
    command = line.partition(" CMD ")[2]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    proxy = "http://127.0.0.1:9"  # of no use for a place in the same container
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        command,
        env={"PATH": path, "HEALTH_URL": url, "http_proxy": proxy},
        stdin=subprocess.DEVNULL,
    )
    return await process.wait() == 0


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False)])
async def test_the_health_check_believes_livez(status: int, *, expected: bool) -> None:
    async def livez(_: web.Request) -> web.Response:
        return web.Response(status=status)

    application = web.Application()
    application.router.add_get("/livez", livez)
    async with TestServer(application) as server:
        assert await healthy(str(server.make_url("/livez"))) is expected


async def test_the_health_check_tries_each_place_it_is_given() -> None:
    async def livez(_: web.Request) -> web.Response:
        return web.Response()

    application = web.Application()
    application.router.add_get("/livez", livez)
    async with TestServer(application) as server:
        assert await healthy(f"http://127.0.0.1:9/livez {server.make_url('/livez')}")


async def test_a_process_that_listens_nowhere_is_not_healthy() -> None:
    assert not await healthy("http://127.0.0.1:9/livez")
