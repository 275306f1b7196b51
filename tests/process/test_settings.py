import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from agora_sidecar.process.advice import Loud, Within
from agora_sidecar.process.quantities import (
    Count,
    Duration,
    File,
    Flag,
    Number,
    OptionalDuration,
    Text,
    written,
)
from agora_sidecar.process.secret import GivenSecret, Secret, SecretUrl
from agora_sidecar.process.settings import Loaded, Section, SettingsError, load, reference
from agora_sidecar.process.shape import Path as SettingPath

HUNTER = "hunter2-is-the-secret"


class Store(Section):
    url: SecretUrl = Field(default=written("redis://127.0.0.1/0"), description="Where it is")
    prefix: Text = "ncs"


class Door(Section):
    token: Secret = Field(default=written(""), description="Who may enter")
    port: Count = Field(default=80, ge=1, le=65_535)
    ratio: Number = 0.5
    open: Annotated[Flag, Loud(True, "anybody may enter")] = False
    wait: Annotated[Duration, Within("1s", "1h", "people are impatient")] = Field(
        default=written("90s"), description="How long"
    )
    limit: OptionalDuration = Field(default=written(""))
    mode: Literal["soft", "hard"] = "soft"


class Key(Section):
    label: Text
    value: GivenSecret


class Person(Section):
    kind: Literal["person"]
    name: Text


class Robot(Section):
    kind: Literal["robot"]
    serial: Count


class House(Section):
    data_dir: File = Field(default=written("/var/lib/house"))
    store: Store = Field(default_factory=Store)
    door: Door = Field(default_factory=Door)
    keys: tuple[Key, ...] = ()
    guests: tuple[Annotated[Person | Robot, Field(discriminator="kind")], ...] = ()
    words: tuple[Text, ...] = ("a", "b")


def read(
    toml: str = "",
    environ: dict[str, str] | None = None,
    *,
    tmp_path: Path | None = None,
    **options: Any,
) -> Loaded[House]:
    file = ""
    if toml and tmp_path:
        file = str(tmp_path / "house.toml")
        Path(file).write_text(toml)
    return load(House, file=file, environ=environ or {}, **options)


def problems(
    toml: str = "",
    environ: dict[str, str] | None = None,
    *,
    tmp_path: Path | None = None,
    **options: Any,
) -> list[str]:
    """The lines, without the folder that the test's file is in; no line may tell a secret."""
    with pytest.raises(SettingsError) as refusal:
        read(toml, environ, tmp_path=tmp_path, **options)
    assert HUNTER not in str(refusal.value)
    assert refusal.value.__context__ is None, "the library's error, with its inputs, is chained"
    return [line.replace(f"{tmp_path}/", "") for line in refusal.value.problems]


# Where values come from


def test_everything_has_its_default() -> None:
    loaded = read()

    assert loaded.document.data_dir == Path("/var/lib/house")
    assert loaded.document.door.wait == 90.0
    assert loaded.document.door.limit is None
    assert loaded.origin("door", "wait") == "default"


def test_the_environment_wins_over_the_file_key_by_key(tmp_path: Path) -> None:
    loaded = read(
        '[door]\nport = 81\nmode = "hard"',
        {"SIDECAR_DOOR__PORT": "82", "HOME": "/", "SIDECARX": "1"},
        tmp_path=tmp_path,
    )

    assert (loaded.document.door.port, loaded.document.door.mode) == (82, "hard")
    assert loaded.origin("door", "port") == "environment SIDECAR_DOOR__PORT"
    assert loaded.origin("door", "mode") == f"file {tmp_path}/house.toml"
    assert loaded.origin("door", "wait") == "default"


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "house.toml"
    file.write_text("[door]\nport = 81")

    assert load(House, environ={"SIDECAR_CONFIG": str(file)}).document.door.port == 81


def test_a_file_on_the_command_line_wins_over_the_one_in_the_environment(tmp_path: Path) -> None:
    environ = {"SIDECAR_CONFIG": str(tmp_path / "absent.toml")}

    assert read("[door]\nport = 81", environ, tmp_path=tmp_path).document.door.port == 81


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PORT", "8_1", ("port", 81)),
        ("RATIO", "2", ("ratio", 2.0)),
        ("RATIO", "0.25", ("ratio", 0.25)),
        ("OPEN", "true", ("open", True)),
        ("OPEN", "0", ("open", False)),
        ("WAIT", "2m", ("wait", 120.0)),
        ("LIMIT", "", ("limit", None)),
        ("LIMIT", "1h", ("limit", 3600.0)),
    ],
)
def test_text_of_the_environment_becomes_what_the_field_wants(
    name: str, text: Any, expected: Any
) -> None:
    door = read(environ={f"SIDECAR_DOOR__{name}": text}).document.door

    assert getattr(door, expected[0]) == expected[1]


def test_top_level_keys_and_lists_and_tables_come_from_the_environment_too() -> None:
    loaded = read(
        environ={
            "SIDECAR_DATA_DIR": "/data",
            "SIDECAR_WORDS": '["x"]',
            "SIDECAR_KEYS": json.dumps([{"label": "one", "value": HUNTER}]),
            "SIDECAR_DOOR": '{"port": 83}',
        }
    )

    assert loaded.document.data_dir == Path("/data")
    assert loaded.document.words == ("x",)
    assert loaded.document.keys[0].value.get_secret_value() == HUNTER
    assert loaded.document.door.port == 83
    assert loaded.origin("door", "port") == "environment SIDECAR_DOOR"
    assert loaded.origin("keys", 0, "label") == "environment SIDECAR_KEYS"


def test_a_table_in_the_environment_leaves_the_files_other_keys(tmp_path: Path) -> None:
    environ = {"SIDECAR_DOOR": '{"port": 83}', "SIDECAR_DOOR__WAIT": "5s"}
    door = read('[door]\nmode = "hard"', environ, tmp_path=tmp_path).document.door

    assert (door.port, door.mode, door.wait) == (83, "hard", 5.0)


def test_a_mapping_that_is_given_is_not_changed_and_the_real_environment_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIDECAR_DOOR__PORT", "84")
    environ = {"SIDECAR_WORDS": '["x"]'}

    assert read(environ=environ).document.door.port == 80
    assert environ == {"SIDECAR_WORDS": '["x"]'}


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().document.door.port = 5  # type: ignore[misc]


# Secrets


def test_a_secret_prints_as_stars_everywhere(tmp_path: Path) -> None:
    door = read(environ={"SIDECAR_DOOR__TOKEN": HUNTER}).document.door

    assert door.token.get_secret_value() == HUNTER
    for shown in (str(door), repr(door), f"{door.token}", repr(door.token), door.model_dump_json()):
        assert HUNTER not in shown
        assert "********" in shown
    assert door.model_dump(mode="json")["token"] == "********"


def test_a_secret_that_was_not_given_is_shown_as_nothing() -> None:
    assert read().document.door.model_dump(mode="json")["token"] == ""


def test_the_password_of_an_address_prints_as_stars() -> None:
    url = f"redis://user:{HUNTER}@db:6379/1?password={HUNTER}&ssl_password={HUNTER}&x=1"
    store = read(environ={"SIDECAR_STORE__URL": url}).document.store

    assert store.url.get_secret_value() == url
    assert store.model_dump(mode="json")["url"] == (
        "redis://user:********@db:6379/1?password=********&ssl_password=********&x=1"
    )
    assert HUNTER not in repr(store)


@pytest.mark.parametrize("address", ["unix:///run/redis.sock", "unix:///run/redis.sock?db=1"])
def test_the_address_of_a_socket_is_shown_as_it_is_written(address: str) -> None:
    assert str(SecretUrl(address)) == address


def test_an_address_that_cannot_be_taken_apart_is_masked_whole() -> None:
    assert str(SecretUrl(f"redis://[{HUNTER}")) == "********"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_may_stand_in_a_file_named_by_the_environment(tmp_path: Path, ending: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes((HUNTER + ending).encode())
    loaded = read(environ={"SIDECAR_DOOR__TOKEN_FILE": str(secret)})

    assert loaded.document.door.token.get_secret_value() == HUNTER
    assert loaded.origin("door", "token") == "environment SIDECAR_DOOR__TOKEN_FILE"


def test_a_secret_may_stand_in_a_file_named_by_the_file_also_within_a_list(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(HUNTER)
    toml = f'[door]\ntoken_file = "{secret}"\n[[keys]]\nlabel = "a"\nvalue_file = "{secret}"'
    loaded = read(toml, tmp_path=tmp_path)

    assert loaded.document.door.token.get_secret_value() == HUNTER
    assert loaded.document.keys[0].value.get_secret_value() == HUNTER
    assert loaded.origin("door", "token") == f"file {tmp_path}/house.toml"


@pytest.mark.parametrize("name", ["token", "token_file"])
def test_the_environment_wins_in_whichever_way_the_file_gives_the_secret(
    tmp_path: Path, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file")
    toml = f'[door]\n{name} = "{secret}"'

    by_value = read(toml, {"SIDECAR_DOOR__TOKEN": HUNTER}, tmp_path=tmp_path)
    by_file = read(toml, {"SIDECAR_DOOR__TOKEN_FILE": str(secret)}, tmp_path=tmp_path)

    assert by_value.document.door.token.get_secret_value() == HUNTER
    assert by_file.document.door.token.get_secret_value() == "from a file"


def test_a_secret_given_both_ways_in_one_place_is_refused(tmp_path: Path) -> None:
    both = {"SIDECAR_DOOR__TOKEN": HUNTER, "SIDECAR_DOOR__TOKEN_FILE": "/x"}

    assert problems(f'[door]\ntoken = "{HUNTER}"\ntoken_file = "/x"', tmp_path=tmp_path) == [
        "file house.toml: door.token: is given both as a value and as a file; keep one of them"
    ]
    assert problems(environ=both) == [
        (
            "environment SIDECAR_DOOR__TOKEN_FILE: door.token_file: is given twice in the environment, "
            "also as SIDECAR_DOOR__TOKEN; keep one of them"
        )
    ]


def test_a_secret_file_that_is_of_no_use_is_named_by_its_setting_and_the_reason(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "lines").write_text(f"{HUNTER}\n{HUNTER}\n")
    where = "environment SIDECAR_DOOR__TOKEN_FILE: door.token: "

    def why(path: object) -> str:
        (line,) = problems(environ={"SIDECAR_DOOR__TOKEN_FILE": str(path)})
        assert line.startswith(where)
        return line.removeprefix(where)

    unread = "cannot be read from its file: "
    assert why(tmp_path / "absent") == unread + "there is no such file"
    assert why(tmp_path) == unread + "it is a directory, not a file"
    assert why(tmp_path / "empty") == unread + "the file is empty"
    assert why(tmp_path / "binary") == unread + "the file is not UTF-8 at byte 0"
    assert why(tmp_path / "large") == unread + "the file is larger than 64 KiB"
    assert why(tmp_path / "lines") == "must not contain control characters"
    assert why("a\0b") == unread + "the file cannot be read: not a path"
    assert why("x" * 5000) == unread + "the file cannot be read: File name too long"
    assert why("") == "names no file"
    assert why(HUNTER) == unread + "there is no such file"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: become somebody who may not."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(before)


def test_a_secret_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(HUNTER)
    secret.chmod(0)

    with as_nobody():
        (line,) = problems(environ={"SIDECAR_DOOR__TOKEN_FILE": str(secret)})

    assert line.endswith("this user may not read the file")


def test_secret_files_of_sections_that_are_not_read_stay_closed_and_unusable() -> None:
    environ = {"SIDECAR_DOOR__TOKEN_FILE": "/nonexistent"}
    first = read(environ=environ, reads=frozenset({"store"})).document.door.token
    second = read(environ=environ, reads=frozenset({"store"})).document.door.token

    assert len(first.get_secret_value()) == 64
    assert first != second, "a placeholder that somebody knows would be a key"


def test_a_secret_within_a_list_that_is_not_read_stays_closed(tmp_path: Path) -> None:
    toml = '[[keys]]\nlabel = "a"\nvalue_file = "/nonexistent"'
    loaded = read(toml, tmp_path=tmp_path, reads=frozenset({"door"}))

    assert len(loaded.document.keys[0].value.get_secret_value()) == 64


def test_a_secret_that_must_be_there_is_not_empty() -> None:
    assert problems(environ={"SIDECAR_KEYS": '[{"label": "a", "value": ""}]'}) == [
        "environment SIDECAR_KEYS: keys[0].value: must not be empty"
    ]


# What is refused


def test_all_problems_are_reported_at_once_each_with_its_place_rule_and_cure(
    tmp_path: Path,
) -> None:
    toml = f"""
        words = "x"
        [store]
        ulr = "redis://:{HUNTER}@db"
        prefix = "a\\u0000b"
        [dore]
        port = 1
        [door]
        prefix = "x"
        token = ["{HUNTER}"]
        port = "80"
        wait = 5
        open = 1
        mode = "medium"
        [[keys]]
        lable = "a"
        value = "{HUNTER}"
        [[guests]]
        kind = "robot"
        serial = true
        [[guests]]
        kind = "ghost"
        [[guests]]
        name = "x"
    """

    found = problems(toml, {"SIDECAR_DOOR__RATIO": "x", "SIDECAR_DORE__X": "1"}, tmp_path=tmp_path)

    assert sorted(found) == sorted(
        [
            "environment SIDECAR_DORE__X: dore.x: unknown setting",
            "file house.toml: store.ulr: unknown setting; did you mean store.url?",
            "file house.toml: store.prefix: must not contain control characters",
            "file house.toml: dore: unknown setting; did you mean door?",
            "file house.toml: door.prefix: unknown setting; did you mean store.prefix?",
            "file house.toml: door.token: must be text in quotes",
            "file house.toml: door.port: must be a whole number without quotes",
            (
                "file house.toml: door.wait: must be a duration in quotes with its unit, "
                'such as "500ms", "90s", "2h"'
            ),
            "environment SIDECAR_DOOR__RATIO: door.ratio: must be a number without quotes",
            "file house.toml: door.open: must be true or false without quotes",
            "file house.toml: door.mode: must be 'soft' or 'hard'",
            "file house.toml: keys[0].label: is missing",
            "file house.toml: keys[0].lable: unknown setting; did you mean keys[0].label?",
            "file house.toml: guests[0].serial: must be a whole number without quotes",
            (
                "file house.toml: guests[1]: is of a kind that is not in this version; "
                "use 'person', 'robot'"
            ),
            "file house.toml: guests[2]: needs its kind",
            "file house.toml: words: must be a list",
        ]
    )


def test_a_value_where_a_table_belongs_is_refused(tmp_path: Path) -> None:
    environ = {"SIDECAR_DOOR__PORT": "80"}

    assert problems("door = 5", tmp_path=tmp_path) == ["file house.toml: door: must be a table"]
    assert problems("door = 5", environ, tmp_path=tmp_path) == [
        "file house.toml: door: must be a table"
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("SIDECAR_STORE__ULR", "store.ulr: unknown setting; did you mean store.url?"),
        (
            "SIDECAR_DOOR__TOKN_FILE",
            "door.tokn_file: unknown setting; did you mean door.token_file?",
        ),
        ("SIDECAR_DOOR__PORT_FILE", "door.port_file: unknown setting; did you mean door.port?"),
        ("SIDECAR_DOOR__PORT__X", "door.port.x: unknown setting; did you mean door.port?"),
        (
            "SIDECAR_KEYS__0__LABEL",
            "keys.0.label: unknown setting; keys is a list, give it as JSON",
        ),
        ("SIDECAR_TOKEN", "token: unknown setting; did you mean door.token?"),
        (
            "SIDECAR_door__port",
            "door.port: unknown setting; in the environment it is SIDECAR_DOOR__PORT",
        ),
        ("SIDECAR_", "unknown setting"),
        ("SIDECAR___", ".: unknown setting"),
    ],
)
def test_a_variable_with_our_prefix_that_is_no_setting_is_refused(name: str, why: str) -> None:
    (line,) = problems(environ={name: HUNTER})

    assert line == f"environment {name}: {why}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value at character 0"),
        ("[", "Expecting value at character 1"),
        (f'["{HUNTER}"', "Expecting ',' delimiter at character"),
        ("[NaN]", "NaN is no JSON"),
        ('[{"label": 1, "label": 2}]', "a name is given twice in one table"),
        ("[" * 10_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "Exceeds the limit"),
    ],
)
def test_broken_json_in_the_environment_is_one_clear_line(text: Any, why: str) -> None:
    (line,) = problems(environ={"SIDECAR_KEYS": text})

    assert line.startswith(f"environment SIDECAR_KEYS: keys: must be JSON: {why}")


@pytest.mark.parametrize("text", ["1", '"x"', "[]", "null"])
def test_json_of_another_type_than_a_table_is_refused(text: Any) -> None:
    assert problems(environ={"SIDECAR_DOOR": text}) == [
        "environment SIDECAR_DOOR: door: must be a table"
    ]


def test_a_key_that_two_variables_give_is_refused() -> None:
    environ = {"SIDECAR_DOOR": '{"port": 83}', "SIDECAR_DOOR__PORT": "84"}

    assert problems(environ=environ) == [
        (
            "environment SIDECAR_DOOR__PORT: door.port: is given twice in the environment, "
            "also as SIDECAR_DOOR; keep one of them"
        )
    ]


@pytest.mark.parametrize(
    "text", ["9" * 30, "9" * 5000, "0", "-1", "65536", "1e3", "８０", "0x50", ""]
)
def test_a_number_beyond_its_range_or_that_is_none_is_refused(text: Any) -> None:
    (line,) = problems(environ={"SIDECAR_DOOR__PORT": text})

    assert line.startswith("environment SIDECAR_DOOR__PORT: door.port: must be ")


@pytest.mark.parametrize("number", ["inf", "nan", "-inf"])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, number: str) -> None:
    assert problems(f"[door]\nratio = {number}", tmp_path=tmp_path) == [
        "file house.toml: door.ratio: must be a finite number"
    ]


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "a\udcffb", "a\x1bb"])
def test_text_with_nul_line_breaks_or_broken_unicode_is_refused(text: Any) -> None:
    for name in ("STORE__PREFIX", "DOOR__TOKEN", "DATA_DIR"):
        (line,) = problems(environ={f"SIDECAR_{name}": text})
        assert line.endswith("must not contain control characters")


def test_a_problem_is_one_printable_line_whatever_a_name_holds(tmp_path: Path) -> None:
    (line,) = problems('"a\\nb\\u0000\\u001b[31m" = 1', tmp_path=tmp_path)
    (long,) = problems(f"{'x' * 100_000} = 1", tmp_path=tmp_path)
    (odd,) = problems(environ={"SIDECAR_A\udcff": "1"})

    assert line == r"file house.toml: a\nb\x00\x1b[31m: unknown setting"
    assert len(long) < 600
    assert odd.encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[door\nport = 1", "is not TOML: Expected ']' at the end of a table declaration"),
        (b"[door]\nport = 1\nport = 2", "is not TOML: Cannot overwrite a value"),
        (b'[door]\ntoken = "hunter2-is-the-secret', "is not TOML: Unterminated string"),
        (b"\xff\xfe", "the file is not UTF-8 at byte 0"),
        (b"#" * (1 << 20) + b"#", "the file is larger than 1024 KiB"),
        (b"a = " + b"[" * 10_000, "is nested too deeply"),
        (b"a = " + b"9" * 5000, "Exceeds the limit"),
        (b"a = 2026-13-45T00:00:00Z", "is not TOML: Expected newline"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, content: bytes, why: str
) -> None:
    file = tmp_path / "house.toml"
    file.write_bytes(content)

    with pytest.raises(SettingsError) as refusal:
        load(House, environ={}, file=str(file))

    (line,) = refusal.value.problems
    assert line.startswith(f"file {file}: {why}")
    assert HUNTER not in line


def test_a_file_that_is_absent_or_no_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load(House, environ={"SIDECAR_CONFIG": str(tmp_path / "absent")})
    with pytest.raises(SettingsError, match="it is a directory"):
        load(House, environ={}, file=str(tmp_path))
    with pytest.raises(SettingsError, match="not a path"):
        load(House, environ={}, file="a\0b")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "house.toml"
    file.write_bytes(b"\xef\xbb\xbfwords = []")

    assert load(House, environ={}, file=str(file)).document.words == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(
        ["DATA_DIR", "STORE", "DOOR", "KEYS", "GUESTS", "WORDS", "DOOR__TOKEN", "X__Y"]
    ),
)
def test_nonsense_is_either_valid_or_refused_in_printable_lines(value: Any, name: str) -> None:
    problems: tuple[str, ...] = ("valid",)
    try:
        load(House, environ={f"SIDECAR_{name}": json.dumps(value)})
    except SettingsError as error:
        problems = error.problems

    assert problems
    assert all(line.isprintable() for line in problems)


# Rules over the whole, advice, documentation


def test_checks_see_the_whole_document_and_name_where_the_value_came_from() -> None:
    def together(house: House) -> Iterator[tuple[SettingPath, str]]:
        if house.door.open and house.door.port == 80:
            yield ("door", "open"), "must not be open on port 80"

    assert problems(environ={"SIDECAR_DOOR__OPEN": "true"}, checks=[together]) == [
        "environment SIDECAR_DOOR__OPEN: door.open: must not be open on port 80"
    ]
    assert read(checks=[together]).document.door.port == 80


def test_a_problem_of_a_default_has_no_origin() -> None:
    assert problems(checks=[lambda _: [(("door", "token"), "is missing")]]) == [
        "door.token: is missing"
    ]


def test_a_broken_variable_is_reported_beside_the_checks() -> None:
    found = problems(
        environ={"SIDECAR_X": "1"}, checks=[lambda _: [(("door", "token"), "is missing")]]
    )

    assert found == ["environment SIDECAR_X: x: unknown setting", "door.token: is missing"]


def test_values_that_are_allowed_but_unwise_are_named_with_the_reason() -> None:
    short = read(environ={"SIDECAR_DOOR__WAIT": "500ms", "SIDECAR_DOOR__OPEN": "1"})
    long = read(environ={"SIDECAR_DOOR__WAIT": "2h"})

    assert read().warnings == ()
    assert short.warnings == (
        "door.open: anybody may enter",
        "door.wait: 500ms is less than 1s: people are impatient",
    )
    assert long.warnings == ("door.wait: 2h is more than 1h: people are impatient",)


def test_the_reference_lists_every_setting_with_type_default_and_description() -> None:
    rows = reference(House)

    assert ("door.wait", "duration", '"90s"', "How long") in rows
    assert ("store.url", "secret", '"redis://127.0.0.1/0"', "Where it is") in rows
    assert [row[:3] for row in rows if "[" in row.path] == [
        ("keys[].label", "text", ""),
        ("keys[].value", "secret", ""),
        ("guests[person].kind", "person", ""),
        ("guests[person].name", "text", ""),
        ("guests[robot].kind", "robot", ""),
        ("guests[robot].serial", "whole number", ""),
    ]
    assert ("words", "list of text", '["a", "b"]') in [row[:3] for row in rows]


def test_every_default_of_the_reference_is_toml_that_the_model_accepts(tmp_path: Path) -> None:
    for row in reference(House):
        if row.default and "[" not in row.path:
            table, _, name = row.path.rpartition(".")
            toml = f"{f'[{table}]' if table else ''}\n{name} = {row.default}"
            assert tomllib.loads(toml)
            assert read(toml, tmp_path=tmp_path).document == House()
