"""The Compose file: its schema, its hardening, and its settings, secrets and checks put to real use."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from agora_sidecar.store import StoreError, connect, store_errors
from tests.integration.processes import Store
from tests.integration.test_receiver_process import each_server

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SCHEMA = json.loads((Path(__file__).parent / "schemas" / "compose_spec.json").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROCESSES = ("receiver", "scheduler")
VENDORS = ("receiver_secret", "customer_secret")


def prepared(folder: Path, *arguments: str) -> tuple[int, Path]:
    """Exit code of prepare.sh in a copy of deploy/, and that copy."""
    copy = folder / "deploy"
    if not copy.exists():
        shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    script = copy / "compose" / "prepare.sh"
    run = subprocess.run(["sh", str(script), *arguments], check=False, capture_output=True)
    return run.returncode, copy


def resolved(text: str, environment: dict[str, str]) -> str:
    """`${NAME:-default}` as Compose reads it."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: environment.get(m[1]) or m[2], text)


def check(process: str, deploy: Path, environment: dict[str, str]) -> tuple[int, str]:
    """`config check` with what the service is given, at the places where it really is here."""
    given = {name: str(value) for name, value in SERVICES[process]["environment"].items()}
    secrets = COMPOSE["secrets"]
    config = deploy / resolved(COMPOSE["configs"]["settings"]["file"], environment)
    assert given["SIDECAR_CONFIG"] == "/etc/agora-sidecar/config.toml"
    given["SIDECAR_CONFIG"] = str(config)
    for name, value in given.items():
        if name.endswith("_FILE"):
            secret = value.removeprefix("/run/secrets/")
            assert secret in SERVICES[process]["secrets"]
            given[name] = str(deploy / resolved(secrets[secret]["file"], environment))
    run = subprocess.run(
        [sys.executable, "-m", "agora_sidecar", "config", "check", "--for", process],
        env={"PATH": os.environ["PATH"], **given},
        check=False,
        capture_output=True,
        text=True,
    )
    return run.returncode, run.stdout + run.stderr


def emulator_environment() -> dict[str, str]:
    lines = (DEPLOY / "compose" / "emulator.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_the_file_is_what_the_specification_allows() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(COMPOSE)


def test_the_schema_refuses_a_key_that_does_not_exist() -> None:
    wrong = {"services": {"a": {"image": "a", "cap_dropp": ["ALL"]}}}
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(wrong)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_hardened(service: str) -> None:
    given = SERVICES[service]
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"]
    assert "cap_add" not in given
    assert "privileged" not in given
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert given["user"].split(":")[0] not in {"", "0", "root"}
    assert given["healthcheck"]["test"]
    assert all(not place.startswith((".", "/")) for place in given.get("volumes", ()))


def test_only_the_public_port_is_published() -> None:
    published = {name: given["ports"] for name, given in SERVICES.items() if "ports" in given}
    assert published == {"receiver": ["${AGORA_SIDECAR_PORT:-8080}:8080"]}


def test_the_store_is_reached_from_its_own_network_alone() -> None:
    assert SERVICES["redis"]["networks"] == ["store"]
    assert COMPOSE["networks"]["store"] == {"internal": True}


def test_each_process_keeps_its_data_on_a_volume_of_its_own() -> None:
    volumes = [volume for p in PROCESSES for volume in SERVICES[p]["volumes"]]
    assert volumes == [f"{p}-data:/var/lib/agora-sidecar" for p in PROCESSES]
    assert {volume.split(":")[0] for volume in volumes} <= COMPOSE["volumes"].keys()


def test_no_process_is_given_a_secret_of_the_other() -> None:
    receiver, scheduler = (set(SERVICES[process]["secrets"]) for process in PROCESSES)
    assert receiver & scheduler == set()
    assert "customer_secret" in scheduler


def test_no_secret_stands_in_the_environment() -> None:
    names = [name for p in PROCESSES for name in SERVICES[p]["environment"]]
    secret = [name for name in names if re.search("SECRET|TOKEN|REDIS__URL", name)]
    assert secret
    assert [name for name in secret if not name.endswith("_FILE")] == []


def test_every_secret_and_configuration_that_is_used_is_declared() -> None:
    used = set()
    for given in SERVICES.values():
        used |= {s if isinstance(s, str) else s["source"] for s in given.get("secrets", ())}
    assert used == COMPOSE["secrets"].keys()
    for config in COMPOSE["configs"].values():
        assert (DEPLOY / resolved(config["file"], {})).is_file()


def test_the_emulator_starts_only_when_it_is_asked_for() -> None:
    profiles = {name: given.get("profiles") for name, given in SERVICES.items()}
    assert profiles == dict.fromkeys(SERVICES) | {"emulator": ["emulator"]}


def test_preparing_says_which_secrets_only_the_vendor_knows(tmp_path: Path) -> None:
    code, deploy = prepared(tmp_path)
    assert code == 1
    folder = deploy / "compose" / "secrets"
    assert not [name for name in VENDORS if (folder / name).exists()]
    for name in VENDORS:
        (folder / name).write_text(f"the {name}")
    assert prepared(tmp_path)[0] == 0
    assert folder.stat().st_mode & 0o777 == 0o700


def test_preparing_again_changes_no_secret(tmp_path: Path) -> None:
    _, deploy = prepared(tmp_path, "--emulator")
    folder = deploy / "compose" / "emulator" / "secrets"
    before = {file.name: file.read_text() for file in folder.iterdir()}
    assert before.keys() == {
        Path(one["file"].replace("}", "")).name for one in COMPOSE["secrets"].values()
    }
    prepared(tmp_path, "--emulator")
    assert {file.name: file.read_text() for file in folder.iterdir()} == before


@pytest.mark.parametrize("process", PROCESSES)
def test_the_settings_for_the_vendor_are_valid(process: str, tmp_path: Path) -> None:
    _, deploy = prepared(tmp_path)
    for name in VENDORS:
        (deploy / "compose" / "secrets" / name).write_text(f"the-{name}-of-a-test")
    code, said = check(process, deploy, {})
    assert (code, "warning" in said) == (0, False), said


@pytest.mark.parametrize("process", PROCESSES)
def test_the_settings_for_the_emulator_are_valid(process: str, tmp_path: Path) -> None:
    _, deploy = prepared(tmp_path, "--emulator")
    code, said = check(process, deploy, emulator_environment())
    assert code == 0, said


@pytest.mark.parametrize("process", PROCESSES)
def test_a_secret_that_is_missing_is_said(process: str, tmp_path: Path) -> None:
    _, deploy = prepared(tmp_path)
    code, said = check(process, deploy, {})
    assert code == 2
    assert "secret" in said


def test_the_emulator_is_started_with_options_that_it_has() -> None:
    command = SERVICES["emulator"]["command"]
    run = subprocess.run(
        [sys.executable, "-m", "agora_sidecar", command[0], "--help"],
        env=os.environ | {"COLUMNS": "200"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert [word for word in command if word.startswith("--") and word not in run.stdout] == []


@pytest.mark.parametrize(("service", "port"), [("receiver", 9101), ("scheduler", 9102)])
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
async def test_the_health_check_believes_livez(
    service: str, port: int, status: int, *, healthy: bool
) -> None:
    async def livez(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/livez", livez)
    async with TestServer(app) as server:
        _, _, flag, code = SERVICES[service]["healthcheck"]["test"]
        assert f"127.0.0.1:{port}/" in code
        code = code.replace(f":{port}/", f":{server.port}/")
        process = await asyncio.create_subprocess_exec(
            sys.executable, flag, code, stderr=subprocess.DEVNULL
        )
        assert (await process.wait() == 0) is healthy


@pytest.fixture(params=each_server())
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A server with the configuration and the users that Compose hands over."""
    _, deploy = prepared(tmp_path, "--emulator")
    users = deploy / "compose" / "emulator" / "secrets" / "users.acl"
    conf = (deploy / "redis" / "redis.conf").read_text()
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        file = Path(folder) / "redis.conf"
        file.write_text(conf.replace("include users.acl", f"include {users}"))
        store = Store(request.param, Path(folder))
        store.first = (str(file),)
        store.process = subprocess.Popen(
            [
                request.param,
                str(file),
                "--port",
                "0",
                "--unixsocket",
                f"{folder}/s",
                "--dir",
                folder,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            for _ in range(500):
                if (Path(folder) / "s").exists():
                    break
                await asyncio.sleep(0.02)
            yield store
        finally:
            store.end()


@pytest.mark.integration
@pytest.mark.parametrize("process", PROCESSES)
async def test_the_store_takes_the_password_of_each_process(
    store: Store, tmp_path: Path, process: str
) -> None:
    secrets = tmp_path / "deploy" / "compose" / "emulator" / "secrets"
    url = (secrets / f"{process}_redis_url").read_text()
    found = re.fullmatch(rf"redis://{process}:(\w{{64}})@redis:6379/0", url)
    assert found
    client = connect(f"{store.url}?username={process}&password={found[1]}")
    stranger = connect(f"{store.url}?username={process}&password=wrong")
    try:
        assert await client.ping()
        with pytest.raises(StoreError), store_errors():
            await stranger.ping()
    finally:
        await client.aclose()
        await stranger.aclose()


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_the_store_is_healthy_when_it_answers_and_not_when_nobody_does(store: Store) -> None:
    _, command = SERVICES["redis"]["healthcheck"]["test"]

    def healthy(socket: str) -> bool:
        asked = command.replace("redis-cli", f"redis-cli -s {socket}")
        return subprocess.run(["sh", "-c", asked], check=False).returncode == 0

    assert healthy(f"{store.folder}/s")
    assert not healthy(f"{store.folder}/nobody")
