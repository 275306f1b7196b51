from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.recordings import start_facts as of

WEB = {
    "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
    "storageConfig": {"fileNamePrefix": ["dir", "sub1"]},
    "extensionServiceConfig": {
        "extensionServices": [
            {"serviceName": "web_recorder_service", "serviceParam": {"maxRecordingHour": 3}},
            {"serviceName": "rtmp_publish_service", "serviceParam": {}},
        ]
    },
}


def test_what_a_start_says_is_taken() -> None:
    assert of.max_recording_hour(WEB) == 3.0
    assert of.file_name_prefix(WEB) == ("dir", "sub1")
    assert of.av_file_type(WEB) == ("hls", "mp4")


@pytest.mark.parametrize("request_", [{}, {"storageConfig": {"fileNamePrefix": ["a/b"]}}])
def test_what_is_not_there_or_odd_is_left_out(request_: dict[str, Any]) -> None:
    assert of.max_recording_hour(request_) is None
    assert of.file_name_prefix(request_) == of.av_file_type(request_) == ()


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(_ANY, _ANY, _ANY)
def test_no_request_makes_it_fail(files: Any, storage: Any, services: Any) -> None:
    for inner in (services, {"extensionServices": services}):
        request = {
            "recordingFileConfig": {"avFileType": files},
            "storageConfig": {"fileNamePrefix": storage},
            "extensionServiceConfig": inner,
        }
        of.max_recording_hour(request)
        assert all(isinstance(text, str) for text in of.file_name_prefix(request))
        assert all(isinstance(text, str) for text in of.av_file_type(request))
