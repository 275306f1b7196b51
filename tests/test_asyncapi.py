"""`docs/asyncapi.json` against the code: what is produced is described, and nothing else is."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agora_sidecar import __version__
from agora_sidecar.agora.events import NAMES
from agora_sidecar.agora.notifications import read_notification
from agora_sidecar.agora.recordings import File
from agora_sidecar.consumer.copies import REPLAY, REPLAY_OF
from agora_sidecar.consumer.member import _BURY
from agora_sidecar.entry import Entry, finding_fields, notification_fields, quarantine_fields
from agora_sidecar.keys import Keys
from scheduler.recordings import findings
from scheduler.recordings.ledger import Change
from scheduler.recordings.session import Reading, Source, close
from scheduler.recordings.timeline import Kind, Note
from tests.scheduler.recordings.evidence_samples import NOW, session

ROOT = Path(__file__).parents[1]
DOCUMENT = json.loads((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
SILENT = {"description", "examples", "contentMediaType", "contentSchema"}
"""Words that forbid nothing by themselves."""


def resolve(node: Any) -> Any:
    if isinstance(node, dict) and "$ref" in node:
        found: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return resolve(found)
    return node


def problems(value: Any, schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """What is wrong with a value; the words that our document uses, and no others."""
    schema = resolve(schema)
    for word, rule in schema.items():
        yield from problem(value, word, rule, at, schema)


def problem(value: Any, word: str, rule: Any, at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    checks: dict[str, Any] = {
        "type": lambda: any(
            isinstance(value, KINDS[kind]) and (kind != "integer" or not isinstance(value, bool))
            for kind in ([rule] if isinstance(rule, str) else rule)
        ),
        "const": lambda: value == rule,
        "enum": lambda: value in rule,
        "pattern": lambda: not isinstance(value, str) or bool(re.search(rule, value)),
        "minLength": lambda: len(value) >= rule,
        "maxLength": lambda: len(value) <= rule,
        "required": lambda: set(rule) <= set(value),
        "anyOf": lambda: any(not list(problems(value, one)) for one in rule),
    }
    if word == "properties":
        for name, inner in rule.items():
            if name in value:
                yield from problems(value[name], inner, f"{at}.{name}")
    elif word == "items":
        for index, item in enumerate(value):
            yield from problems(item, rule, f"{at}[{index}]")
    elif word not in SILENT and not checks[word]():
        yield f"{at}: {value!r} against {word}: {rule!r}"
    if word == "contentMediaType":
        content = json.loads(value)
        yield from problems(content, schema.get("contentSchema", {}), f"{at}:")


def text(fields: Any) -> dict[str, str]:
    parts = [part.decode() if isinstance(part, bytes) else part for part in fields]
    return dict(zip(parts[::2], parts[1::2], strict=True))


BODY = json.dumps(
    {
        "noticeId": "n-1",
        "productId": 3,
        "eventType": 31,
        "notifyMs": 1_700_000_000_999,
        "payload": {"cname": "room", "uid": "7", "sid": "s" * 32, "sequence": 3, "sendts": 17},
    }
)
BARE = '{"noticeId": "a", "productId": 1, "eventType": 101}'


def notification(body: str = BODY) -> dict[str, str]:
    notice = read_notification(body.encode())
    fields = notification_fields(notice, source="default", received_ms=1_700_000_001_000)
    return text([*fields, "data", body])


def finding(kind: str = "closed") -> dict[str, str]:
    makers = {"closed": findings.closed, "started": findings.started}
    change = makers[kind](CLOSED) if kind in makers else findings.told(CLOSED, kind, "why")
    told = change.finding
    assert told is not None
    return text(
        finding_fields(
            sid=CLOSED.sid,
            kind=told.kind,
            number=1,
            source="default",
            cname="room",
            uid="7",
            data=told.data,
            now_ms=1_700_000_001_000,
        )
    )


def quarantined() -> dict[str, str]:
    given: Any = quarantine_fields
    fields = given(source="default", reason="schema: x", received_ms=1_700_000_001_000)
    return text([*fields, "data", "\x00 no JSON"])


def copy(fields: Mapping[str, str]) -> dict[str, str]:
    """As `replay` marks it; that it does is tested with the command."""
    return {**fields, "origin": REPLAY, REPLAY_OF: "1-0"}


def dead(fields: Mapping[str, str]) -> dict[str, str]:
    """The names are those in the script that buries; its effect is tested with the consumer."""
    added = re.search(r"local why = \{(.*)\}", _BURY)
    assert added is not None
    names = re.findall(r"'(\w+)'", added[1])
    return {**fields, **dict(zip(names, ("why", "3", "1-0"), strict=True))}


CLOSED = close(
    session(
        timeline=(
            Note(NOW, Kind.EVENT, "40", Reading.STARTED),
            Note(NOW, Kind.QUERY, "", Reading.UPLOADED, "h", count=2, until=NOW + 1),
        ),
        files=(
            File("a.m3u8", "audio", "7", True, True, 1_700_000_000_000),
            File("b.m3u8"),
        ),
    ),
    "not_found",
    told_by=Source.QUERY,
    at=NOW + 1,
)


def data_of(change: Change) -> dict[str, Any]:
    assert change.finding is not None
    found: dict[str, Any] = json.loads(change.finding.data)
    return found


def test_every_field_that_is_produced_is_described_and_no_other() -> None:
    produced = {
        "notification": copy(notification()),
        "finding": copy(finding()),
        "quarantined": quarantined(),
    }

    for name, fields in produced.items():
        assert set(fields) == set(SCHEMAS[name]["properties"]), name
    assert set(dead({})) == set(SCHEMAS["deadLetter"]["properties"])


def test_every_field_that_a_reader_knows_is_described() -> None:
    known = set(Entry.__struct_fields__) - {"stream_id"}
    described = set(SCHEMAS["notification"]["properties"]) | set(SCHEMAS["finding"]["properties"])

    assert known <= described | {"traceparent"}
    assert described <= known | {"specversion", "datacontenttype", "replayof"}


def test_every_field_of_a_findings_data_is_described_and_no_other() -> None:
    closed = data_of(findings.closed(CLOSED))
    started = data_of(findings.started(CLOSED))

    assert set(closed) == set(SCHEMAS["closedData"]["properties"])
    assert set(started) == set(SCHEMAS["startedData"]["properties"])
    for kind in ("stop_refused", "upload_overdue", "unaskable"):
        name = kind.title().replace("_", "")
        described = SCHEMAS[name[0].lower() + name[1:] + "Data"]["properties"]
        assert set(data_of(findings.told(CLOSED, kind, "why"))) == set(described)
    assert set().union(*closed["evidence"]) == set(SCHEMAS["evidence"]["properties"])
    assert set().union(*closed["fileList"]) == set(SCHEMAS["file"]["properties"])


def test_samples_are_valid() -> None:
    for name, sample in (
        ("notification", notification()),
        ("notification", notification(BARE)),
        ("notification", copy(notification())),
        ("finding", finding("closed")),
        ("finding", finding("started")),
        *(("finding", finding(kind)) for kind in ("stop_refused", "upload_overdue", "unaskable")),
        ("finding", copy(finding())),
        ("quarantined", quarantined()),
        ("deadLetter", dead(notification())),
        ("notification", dead(notification())),
    ):
        assert list(problems(sample, SCHEMAS[name])) == [], name


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("notification", {"specversion": "2.0"}, ".specversion: '2.0' against const"),
        ("notification", {"id": ""}, ".id: '' against minLength"),
        ("notification", {"origin": "reconciler"}, ".origin: 'reconciler' against enum"),
        ("notification", {"type": "com.example"}, ".type: 'com.example' against pattern"),
        ("notification", {"time": "today"}, ".time: 'today' against pattern"),
        ("notification", {"sequence": 3}, ".sequence: 3 against type"),
        ("finding", {"data": "{}"}, ".data:"),
        ("finding", {"subject": ""}, ".subject: '' against minLength"),
    ],
)
def test_what_is_wrong_is_not_valid(name: str, change: dict[str, Any], complaint: str) -> None:
    sample = (notification() if name == "notification" else finding()) | change

    [found] = problems(sample, SCHEMAS[name])
    assert found.startswith(complaint)


def test_a_missing_field_is_not_valid() -> None:
    sample = notification()
    del sample["origin"]
    assert len(list(problems(sample, SCHEMAS["notification"]))) == 1


def test_vocabularies_are_those_of_the_code() -> None:
    types = SCHEMAS["notification"]["properties"]["type"]["examples"]
    assert types == [f"io.agora.cloud_recording.{name}" for name in NAMES.values()]
    evidence = SCHEMAS["evidence"]["properties"]
    assert evidence["reading"]["enum"] == [str(reading) for reading in Reading]
    assert evidence["source"]["enum"] == [str(source) for source in Source]
    assert SCHEMAS["closedData"]["properties"]["toldBy"]["enum"] == evidence["source"]["enum"]


def test_the_reasons_are_those_that_the_consumers_are_told_of() -> None:
    consumers = (ROOT / "docs" / "consumers.md").read_text(encoding="utf-8")
    table = consumers.partition("| `reason` |")[2].partition("\n\n")[0]

    reasons = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert SCHEMAS["closedData"]["properties"]["reason"]["enum"] == reasons


def test_the_channels_are_our_streams() -> None:
    addresses = {name: channel["address"] for name, channel in DOCUMENT["channels"].items()}
    keys = Keys("ncs")

    filled = {name: at.replace("{tag}", "{ncs}") for name, at in addresses.items()}
    assert filled["events"] == keys.events
    assert filled["quarantine"] == keys.quarantine
    assert filled["deadLetters"] == "{ncs}:dead:{group}"
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
        assert channel["parameters"]["tag"]["default"] == "{ncs}"


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from [value] if name == "$ref" else references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_an_asyncapi_3_document_whose_references_lead_somewhere() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"]["version"] == __version__
    assert set(DOCUMENT) == {
        *("asyncapi", "info", "defaultContentType", "servers", "channels", "operations"),
        "components",
    }
    found = set(references(DOCUMENT))
    assert all(resolve({"$ref": one}) for one in found)
    for part in ("messages", "schemas"):
        defined = {f"#/components/{part}/{name}" for name in DOCUMENT["components"][part]}
        assert defined <= found
    assert {operation["action"] for operation in DOCUMENT["operations"].values()} == {"send"}
