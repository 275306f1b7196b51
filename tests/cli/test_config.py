import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agora_sidecar.cli.config import app
from agora_sidecar.cli.document import (
    Document,
    Process,
    for_receiver,
    for_scheduler,
    read_document,
)
from agora_sidecar.process.settings import SettingsError, reference

HUNTER = "hunter2-is-the-secret"

FULL = f"""
data_dir = "/data"

[redis]
url = "redis://user:{HUNTER}@db:6379/0"

[receiver]
max_age = "1h"

[[sources]]
name = "main"
redundant = true
secrets = [
    {{ label = "old", value = "{HUNTER}", not_after = 2026-11-01T00:00:00Z }},
    {{ label = "new", value = "{HUNTER}2" }},
]

[agora]
app_id = "app"
customer_id = "id"
customer_secret = "{HUNTER}"

[[allowlist.targets]]
kind = "nftables"
port = 8080

[[allowlist.targets]]
kind = "file"
path = "/etc/nginx/allow.conf"
format = "nginx"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sidecar.toml"


def run(*arguments: str, environ: dict[str, str] | None = None, code: int = 0) -> Any:
    result = CliRunner().invoke(app, arguments, env=environ or {}, catch_exceptions=False)
    assert HUNTER not in result.output
    assert result.exit_code == code, result.output
    return result


def refused(environ: dict[str, str] | None = None, **options: Any) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        read_document(environ=environ or {}, **options)
    assert HUNTER not in str(refusal.value)
    return list(refusal.value.problems)


# The document


def test_a_full_file_is_what_it_says(file: Path) -> None:
    file.write_text(FULL)
    loaded = read_document(environ={}, file=str(file), processes=("receiver", "scheduler"))
    (source,) = loaded.document.effective_sources

    assert loaded.warnings == ()
    assert (source.name, source.redundant) == ("main", True)
    assert [secret.label for secret in source.secrets] == ["old", "new"]
    assert source.secrets[0].not_after == 1_793_491_200.0
    assert [target.kind for target in loaded.document.allowlist.targets] == ["nftables", "file"]


def test_the_secret_of_the_receiver_is_short_for_one_source() -> None:
    loaded = read_document(environ={"SIDECAR_RECEIVER__SECRET": HUNTER}, processes=["receiver"])
    (source,) = loaded.document.effective_sources

    assert source.name == "default"
    assert [(s.label, s.value.get_secret_value()) for s in source.secrets] == [("default", HUNTER)]


def test_the_short_form_beside_sources_is_refused(file: Path) -> None:
    file.write_text(FULL)

    assert refused({"SIDECAR_RECEIVER__SECRET": HUNTER}, file=str(file)) == [
        (
            "environment SIDECAR_RECEIVER__SECRET: receiver.secret: "
            "must not be beside [[sources]]; keep one of them"
        )
    ]


def test_two_sources_of_one_name_are_refused() -> None:
    source = {"name": "a", "secrets": [{"label": "x", "value": HUNTER}]}

    assert refused({"SIDECAR_SOURCES": json.dumps([source, source])}) == [
        "environment SIDECAR_SOURCES: sources: must have different names"
    ]


def test_each_process_demands_only_what_it_uses_and_says_all_that_is_missing() -> None:
    receiver = (
        "receiver.secret: is missing; set it, SIDECAR_RECEIVER__SECRET or [[sources]]: "
        "nobody could sign"
    )
    scheduler = [
        f"agora.{name}: is missing; set it or SIDECAR_AGORA__{name.upper()}: "
        "the vendor is asked with it"
        for name in ("app_id", "customer_id", "customer_secret")
    ]

    assert read_document(environ={}).document == Document()
    assert refused(processes=("receiver",)) == [receiver]
    assert refused(processes=("scheduler",)) == scheduler
    assert refused(processes=("receiver", "scheduler")) == [receiver, *scheduler]
    with pytest.raises(SettingsError, match="nobody could sign"):
        for_receiver(Document())
    with pytest.raises(SettingsError, match="customer_id"):
        for_scheduler(Document())


def test_a_document_with_everything_satisfies_both(file: Path) -> None:
    file.write_text(FULL)
    document = read_document(environ={}, file=str(file)).document

    for_receiver(document)
    for_scheduler(document)


def test_a_process_does_not_open_the_secret_files_of_the_other(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(HUNTER)
    agora = {
        "SIDECAR_AGORA__APP_ID": "app",
        "SIDECAR_AGORA__CUSTOMER_ID": "id",
        "SIDECAR_AGORA__CUSTOMER_SECRET_FILE": str(secret),
        "SIDECAR_RECEIVER__SECRET_FILE": "/nonexistent",
    }
    receiver = agora | {
        "SIDECAR_RECEIVER__SECRET_FILE": str(secret),
        "SIDECAR_AGORA__CUSTOMER_SECRET_FILE": "/nonexistent",
    }

    cases: tuple[tuple[dict[str, str], Process, Process], ...] = (
        (agora, "scheduler", "receiver"),
        (receiver, "receiver", "scheduler"),
    )
    for environ, process, other in cases:
        assert read_document(environ=environ, processes=(process,)).given.problems == []
        assert any("no such file" in line for line in refused(environ, processes=(other,)))


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("ALLOWLIST__TARGETS", '[{"kind": "gcp"}]', "allowlist.targets[0]"),
    ],
)
def test_what_this_version_cannot_do_is_refused_and_not_ignored(
    name: str, text: str, path: str
) -> None:
    (line,) = refused({f"SIDECAR_{name}": text})

    assert line.startswith(f"environment SIDECAR_{name}: {path}: ")
    assert "not in this version" in line


@pytest.mark.parametrize(
    ("port", "whose"),
    [(9101, "receiver.ops_listen"), (9102, "scheduler.ops_listen"), (8081, "gateway.listen")],
)
def test_a_filter_on_a_port_of_our_own_is_refused(port: int, whose: str) -> None:
    target = json.dumps([{"kind": "nftables", "port": port}])

    assert refused({"SIDECAR_ALLOWLIST__TARGETS": target}) == [
        (
            "environment SIDECAR_ALLOWLIST__TARGETS: allowlist.targets[0].port: "
            f"must not be the port of {whose}, which is not the vendor's"
        )
    ]


def test_the_gateway_and_the_ops_port_of_the_scheduler_differ() -> None:
    assert refused({"SIDECAR_GATEWAY__LISTEN": "127.0.0.1:9102"}) == [
        "environment SIDECAR_GATEWAY__LISTEN: gateway.listen: must differ from scheduler.ops_listen"
    ]


@pytest.mark.parametrize(
    ("name", "text", "warning"),
    [
        ("RECORDINGS__END_AFTER_404", "10s", "recordings.end_after_404: 10s is less than 90s: "),
        ("ALLOWLIST__POLL_INTERVAL", "5s", "allowlist.poll_interval: 5s is less than 60s: "),
        ("ALLOWLIST__POLL_INTERVAL", "25h", "allowlist.poll_interval: 25h is more than 24h: "),
        ("ALLOWLIST__GRACE", "1h", "allowlist.grace: 1h is less than 24h: "),
        ("RECEIVER__ACK_DEADLINE", "11s", "receiver.ack_deadline: 11s is more than 10s: "),
        ("STREAM__DEDUPE_WINDOW", "1m", "stream.dedupe_window: 1m is less than 1h: "),
        ("RECEIVER__MAX_AGE", "1m", "receiver.max_age: 1m is less than 15m: "),
        ("RECEIVER__DURABILITY", "memory", "receiver.durability: a crash of Redis may lose "),
        ("ALLOWLIST__RESERVED", "accept", "allowlist.reserved: private and documentation "),
        ("AGORA__ALLOW_HTTP", "true", "agora.allow_http: credentials may travel unencrypted"),
    ],
)
def test_what_the_vendors_rules_advise_against_is_allowed_with_a_warning(
    name: str, text: str, warning: str
) -> None:
    (found,) = read_document(environ={f"SIDECAR_{name}": text}).warnings

    assert found.startswith(warning)


def test_every_setting_is_described_and_every_default_is_valid(file: Path) -> None:
    rows = reference(Document)

    assert len(rows) > 60
    assert [row.path for row in rows if not row.description] == []
    for row in rows:
        table, _, name = row.path.rpartition(".")
        if row.default and "[" not in row.path:
            file.write_text(f"{f'[{table}]' if table else ''}\n{name} = {row.default}")
            assert read_document(environ={}, file=str(file)).document == Document(), row.path


# The commands


def test_check_says_that_the_settings_are_valid(file: Path) -> None:
    file.write_text(FULL)

    assert run("check", "--config", str(file)).stdout == "configuration is valid\n"
    assert run("check", "--config", str(file), "--for", "receiver").stdout
    assert run("check", "--config", str(file), "--for", "scheduler").stdout
    assert run("check", environ={"SIDECAR_CONFIG": str(file)}).stdout


def test_check_shows_warnings_beside_and_still_succeeds() -> None:
    result = run("check", environ={"SIDECAR_ALLOWLIST__GRACE": "1h"})

    assert result.stdout == "configuration is valid\n"
    assert result.stderr.startswith("warning: allowlist.grace: 1h is less than 24h")


def test_check_ends_with_2_and_one_line_for_each_problem(file: Path) -> None:
    file.write_text(f'[redis]\nulr = "redis://:{HUNTER}@db"\n[agora]\ncustomer_secret = 5')

    result = run("check", "--config", str(file), code=2)

    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"file {file}: redis.ulr: unknown setting; did you mean redis.url?",
        f"file {file}: agora.customer_secret: must be text in quotes",
    ]


@pytest.mark.parametrize("arguments", [["check", "--for", "nobody"], ["check", "--confg", "x"]])
def test_a_wrong_option_ends_with_2(arguments: list[str]) -> None:
    run(*arguments, code=2)


def test_check_for_a_process_names_what_is_missing() -> None:
    assert "nobody could sign" in run("check", "--for", "receiver", code=2).stderr


def test_show_prints_toml_with_origins_and_without_secrets(file: Path) -> None:
    file.write_text(FULL)

    lines = run(
        "show", "--config", str(file), environ={"SIDECAR_STREAM__DEDUPE_WINDOW": "48h"}
    ).stdout.splitlines()

    assert lines[0] == f'data_dir = "/data"  # file {file}'
    assert f'url = "redis://user:********@db:6379/0"  # file {file}' in lines
    assert 'dedupe_window = "48h"  # environment SIDECAR_STREAM__DEDUPE_WINDOW' in lines
    assert 'level = "info"  # default' in lines
    assert f'customer_secret = "********"  # file {file}' in lines


def test_show_says_the_same_as_toml_and_as_json(file: Path) -> None:
    file.write_text(FULL)

    toml = tomllib.loads(run("show", "--config", str(file)).stdout)
    found = json.loads(run("show", "--config", str(file), "--json").stdout)

    flat = {
        f"{name}.{key}" if isinstance(value, dict) else name: part
        for name, value in toml.items()
        for key, part in (value.items() if isinstance(value, dict) else [("", value)])
    }
    assert flat == {path: entry["value"] for path, entry in found.items()}
    assert found["redis.prefix"] == {"value": "ncs", "origin": "default"}
    assert found["sources"]["value"][0]["secrets"][0] == {
        "label": "old",
        "value": "********",
        "not_before": "",
        "not_after": "2026-11-01T00:00:00Z",
    }


def test_what_show_prints_is_a_configuration_again(file: Path) -> None:
    file.write_text(run("show").stdout)

    assert read_document(environ={}, file=str(file)).document == Document()


def test_show_of_broken_settings_ends_with_2() -> None:
    result = run("show", "--config", "/nonexistent", code=2)

    assert result.stderr == "file /nonexistent: there is no such file\n"


def test_schema_prints_json_schema() -> None:
    schema = json.loads(run("schema").stdout)

    assert schema["additionalProperties"] is False
    assert schema["properties"]["data_dir"]["default"] == "/var/lib/agora-sidecar"
    assert schema["$defs"]["AllowlistSettings"]["properties"]["grace"]["default"] == "26h"


def test_reading_settings_loads_neither_a_server_nor_a_terminal_library() -> None:
    code = (
        "import sys, agora_sidecar.cli.document as d; d.read_document(environ={});"
        "print(*sorted({'aiohttp', 'redis', 'httpx', 'rich', 'structlog'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )

    assert found.stdout == "\n"
