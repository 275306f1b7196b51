import math
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.process.quantities import (
    Listen,
    duration,
    duration_text,
    instant,
    instant_text,
    listen,
    size,
    size_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("90s", 90.0),
        ("15m", 900.0),
        ("2h", 7200.0),
        ("7d", 604_800.0),
        ("1.5h", 5400.0),
        ("3650d", 315_360_000.0),
    ],
)
def test_a_duration_is_seconds(text: Any, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5 s",
        " 5s",
        "5s\n",
        "-5s",
        "0s",
        "0.0ms",
        "1h30m",
        "5S",
        "s",
        "1e3s",
        "٥s",
        "3651d",
        "9" * 400 + "d",
        "999999999999999d",
        "nan",
        "5s\0",
        5,
        5.0,
        True,
        None,
        ["5s"],
    ],
)
def test_what_is_no_positive_duration_with_a_unit_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        duration(text)


@pytest.mark.parametrize("text", ["500ms", "90s", "100s", "2m", "15m", "24h", "26h", "72h", "7d"])
def test_a_duration_is_shown_as_people_write_it(text: Any) -> None:
    assert duration_text(duration(text)) == text


@given(st.floats(min_value=1e-6, max_value=3e8))
def test_a_shown_duration_can_be_read_again(seconds: float) -> None:
    assert math.isclose(duration(duration_text(seconds)), seconds, rel_tol=1e-3)


@pytest.mark.parametrize(
    ("text", "count"), [("512B", 512), ("256KiB", 262_144), ("1MiB", 1 << 20), ("2GiB", 2 << 30)]
)
def test_a_size_is_bytes_and_is_shown_as_written(text: Any, count: int) -> None:
    assert size(text) == count
    assert size_text(count) == text


@pytest.mark.parametrize("text", ["", "256", "256KB", "256 KiB", "-1KiB", "1.5MiB", "x", 256, None])
def test_what_is_no_size_with_a_unit_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        size(text)


@given(st.integers(min_value=0, max_value=1 << 45))
def test_a_shown_size_is_the_same_size(count: int) -> None:
    assert size(size_text(count)) == count


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8080", Listen("0.0.0.0", 8080)),
        ("127.0.0.1:0", Listen("127.0.0.1", 0)),
        ("localhost:65535", Listen("localhost", 65_535)),
        ("[::1]:80", Listen("::1", 80)),
    ],
)
def test_an_address_is_host_and_port_and_is_shown_as_written(text: Any, address: Listen) -> None:
    assert listen(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":8080",
        "8080",
        "host",
        "host:",
        "host:x",
        "h:65536",
        "h:-1",
        "::1:80",
        "[::1:80",
        "*:80",
        "[]:80",
        "[nonsense]:80",
        "a b:80",
        "a\0:80",
        "-a:80",
        "h:80 ",
        "http://h:80",
        80,
        None,
    ],
)
def test_what_is_no_address_to_listen_on_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        listen(text)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, *, local: bool) -> None:
    assert Listen(host, 1).loopback is local


def test_an_instant_is_unix_seconds_of_text_or_toml() -> None:
    expected = datetime(2026, 11, 1, tzinfo=UTC)

    assert instant("2026-11-01T00:00:00Z") == expected.timestamp()
    assert instant("2026-11-01T01:00:00+01:00") == expected.timestamp()
    assert instant(expected) == expected.timestamp()
    assert instant_text(expected.timestamp()) == "2026-11-01T00:00:00Z"


@pytest.mark.parametrize(
    "value",
    ["2026-11-01", "2026-11-01T00:00:00", "soon", 1.0, date(2026, 11, 1), datetime(2026, 11, 1)],  # noqa: DTZ001
)
def test_an_instant_without_its_offset_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="with its offset"):
        instant(value)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"])
def test_an_instant_that_could_not_be_shown_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 1970 to 9999"):
        instant(text)
