from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_sidecar.agora.recordings import File, read_files

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
keys = st.sampled_from(["fileName", "filename", "uid", "trackType", "isPlayable", "sliceStartTime"])
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(keys | st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "files"),
    [
        ("a.m3u8", (File("a.m3u8"),)),
        ("", ()),
        (None, ()),
        ([], ()),
        ({}, ()),
        (["a.m3u8", "", "b.mp4"], (File("a.m3u8"), File("b.mp4"))),
        ([{"fileName": "a"}, {"filename": "b"}], (File("a"), File("b"))),
        ([{"fileName": 5, "filename": "b"}], (File("b"),)),
        ([{"fileName": ""}, {"uid": "1"}, None, 7, []], ()),
    ],
)
def test_a_file_list_is_read_by_the_types_that_are_there(
    value: object, files: tuple[File, ...]
) -> None:
    assert read_files(value) == files


def test_a_file_is_read_whole() -> None:
    told = {
        "fileName": "p/a.m3u8",
        "trackType": "audio",
        "uid": "1001",
        "mixedAllUser": False,
        "isPlayable": True,
        "sliceStartTime": 1_700_000_004_000,
    }
    assert read_files([told]) == (
        File("p/a.m3u8", "audio", "1001", False, True, 1_700_000_004_000),
    )


def test_what_is_of_an_odd_type_is_left_out_and_the_file_stays() -> None:
    odd = {
        "fileName": "a",
        "trackType": 1,
        "uid": [],
        "mixedAllUser": "yes",
        "isPlayable": 1,
        "sliceStartTime": 1.5,
    }
    assert read_files([odd]) == (File("a"),)


@given(json_values)
def test_no_value_raises_and_every_file_has_a_name(value: Any) -> None:
    assert all(isinstance(file.name, str) and file.name for file in read_files(value))


@given(st.lists(st.text(min_size=1)))
def test_names_are_kept_in_order(names: list[str]) -> None:
    assert [file.name for file in read_files(names)] == names
    assert [file.name for file in read_files([{"filename": name} for name in names])] == names
