import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agora_sidecar.cli.call import app
from agora_sidecar.cli.call_body import CallError, body
from tests.agora.request_bodies import LEAST_START, MIX_START, SECRETS
from tests.cli.threaded_emulator import ThreadedEmulator

NAMES = ("--cname", "room-1", "--uid", "900001")


@pytest.fixture(scope="module")
def emulator() -> Iterator[ThreadedEmulator]:
    with ThreadedEmulator() as emulator:
        yield emulator


def call(emulator: ThreadedEmulator | None, *words: str, given: str | None = None) -> Result:
    url = emulator.url if emulator else "http://127.0.0.1:1"
    env = {
        "SIDECAR_AGORA__APP_ID": "emulator-app",
        "SIDECAR_AGORA__CUSTOMER_ID": "emulator-customer",
        "SIDECAR_AGORA__CUSTOMER_SECRET": "emulator-customer-secret",
        "SIDECAR_AGORA__BASE_URLS": json.dumps([url]),
    }
    return CliRunner().invoke(app, words, env=env, input=given)


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("mode", "wish", "update"),
    [
        ("mix", LEAST_START, ["--set", 'streamSubscribe={"audioUidList": {}}']),
        ("individual", LEAST_START, []),
    ],
)
def test_a_recording_by_hand(
    emulator: ThreadedEmulator, tmp_path: Path, mode: str, wish: Any, update: list[str]
) -> None:
    start = tmp_path / "start.json"
    start.write_text(json.dumps(wish))
    rid = told(call(emulator, "acquire", *NAMES, "--set", "resourceExpiredHour=24", "--json"))
    place = ("--resource-id", rid["resourceId"])
    started = told(
        call(emulator, "start", *place, "--mode", mode, *NAMES, "--body", str(start), "--json")
    )
    task = (*place, "--sid", started["sid"])
    assert told(call(emulator, "query", *task, "--mode", mode, "--json"))["sid"] == started["sid"]
    assert "status      " in call(emulator, "query", *task, "--mode", mode).output
    told(call(emulator, "update", *task, "--mode", mode, *NAMES, *update, "--json"))
    if mode == "mix":
        layout = ("--set", "mixedVideoLayout=1", "--set", "backgroundColor=#FF0000")
        told(call(emulator, "update-layout", *task, *NAMES, *layout, "--json"))
    stop = call(emulator, "stop", *task, "--mode", mode, *NAMES, "--set", "async_stop=true")
    assert (stop.exit_code, "upload" in stop.output or "206" in stop.output) in {
        (0, True),
        (1, True),
    }


def test_the_addresses_by_hand(emulator: ThreadedEmulator) -> None:
    assert call(emulator, "ncs-ip").stdout.strip() == "127.0.0.1"
    hosts = told(call(emulator, "ncs-ip", "--path", "/v2/ncs/ip", "--json"))
    assert hosts["data"]["service"]["hosts"]
    digits = call(emulator, "ncs-ip", "--path", "9" * 24)  # would be a part of the port
    assert (digits.exit_code, "must begin with /" in digits.stderr) == (2, True)


def test_what_breaks_a_rule_is_not_sent_and_told_at_once(emulator: ThreadedEmulator) -> None:
    result = call(
        emulator, "acquire", "--cname", "a/b", "--uid", "0", "--set", "resourceExpiredHour=0"
    )
    assert result.exit_code == 2
    assert "cname must have only characters" in result.output
    assert "uid must be an integer" in result.output
    assert "clientRequest.resourceExpiredHour must be from 1 to 720" in result.output
    assert "--force" in result.output


def test_force_sends_it_all_the_same(emulator: ThreadedEmulator) -> None:
    result = call(emulator, "acquire", *NAMES, "--set", "scene=5", "--force", "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert (error["status"], error["code"], error["advice"]) == (400, 2, "give up")


def test_force_sends_a_stop_that_is_none_too(emulator: ThreadedEmulator) -> None:
    task = ("--resource-id", "RID", "--sid", "SID")
    body = json.dumps({"clientRequest": []})
    result = call(emulator, "stop", *task, *NAMES, "--body", "-", "--force", "--json", given=body)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["status"] == 400


def test_a_dry_run_shows_what_would_be_sent_with_secrets_masked() -> None:
    words = ("start", "--resource-id", "RID", *NAMES, "--body", "-", "--dry-run")
    result = call(None, *words, given=json.dumps(MIX_START))
    assert result.exit_code == 0, result.output
    assert "POST http://127.0.0.1:1/v1/apps/emulator-app/cloud_recording" in result.output
    assert '"secretKey": "***"' in result.output
    shown = call(None, *words, "--json", given=json.dumps(MIX_START))
    assert json.loads(shown.stdout)["body"]["clientRequest"]["storageConfig"]["bucket"] == "bucket"
    assert not [secret for secret in SECRETS if secret in result.output + shown.output]


def test_a_mistake_shows_no_secret_either() -> None:
    wish = {"storageConfig": {"SecretKey": "storage-secret", "access_key": "access-secret"}}
    result = call(
        None,
        *("start", "--resource-id", "RID", *NAMES, "--body", "-", "--json"),
        given=json.dumps(wish),
    )
    assert result.exit_code == 2
    assert "storage-secret" not in result.output and "access-secret" not in result.output


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("storage-secret\n")
    found = body(
        "",
        [f"storageConfig.secretKey=@{tmp_path / 'key'}", "storageConfig.vendor=1"],
        cname="room",
        uid="1",
        read=lambda name: Path(name).read_text(),
    )
    assert found["clientRequest"] == {"storageConfig": {"secretKey": "storage-secret", "vendor": 1}}


def test_options_go_over_the_file_and_a_whole_body_is_known_by_its_keys() -> None:
    whole = json.dumps({"cname": "a", "uid": "1", "clientRequest": {"scene": 0}, "more": 1})
    found = body(whole, ["clientRequest.scene=1"], cname="", uid="2", read=str)
    assert found == {"cname": "a", "uid": "2", "clientRequest": {"scene": 1}, "more": 1}


@pytest.mark.parametrize(
    ("text", "assignment", "what"),
    [
        ("{", "a=1", "not JSON"),
        ("[1]", "a=1", "must be a JSON object"),
        ("{}", "a", "PATH=VALUE"),
        ("{}", "=1", "PATH=VALUE"),
        ('{"a": 5}', "a.b=1", "not an object"),
        ('{"clientRequest": 5}', "a=1", "not an object"),
    ],
)
def test_what_was_typed_wrong_is_said(text: str, assignment: str, what: str) -> None:
    with pytest.raises(CallError, match=what):
        body(text, [assignment], cname="", uid="", read=str)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("acquire", *NAMES, "--body", "/nowhere/file.json"), "/nowhere/file.json: No such file"),
        (("query", "--resource-id", "..", "--sid", "s"), "cannot be a part of a path"),
        (("query", "--resource-id", "r", "--sid", "s"), "What to do: retry"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(words: tuple[str, ...], what: str) -> None:
    result = call(None, *words)
    assert result.exit_code in {1, 2}
    assert what in result.output
    assert "Traceback" not in result.output


def test_without_an_account_it_says_what_to_set() -> None:
    result = CliRunner().invoke(app, ["query", "--resource-id", "r", "--sid", "s"])
    assert result.exit_code == 2
    assert "agora.app_id" in result.output
