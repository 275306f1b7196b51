from typing import Any

import pytest

from scheduler.recordings.naming import expected_files
from tests.scheduler.recordings.evidence_samples import SID, session


@pytest.mark.parametrize(
    ("known", "names"),
    [
        ({}, [f"{SID}_room.m3u8"]),
        ({"mode": "web", "cname": "a b.c"}, [f"{SID}_a-b-c.m3u8"]),
        (
            {"file_name_prefix": ("dir", "sub"), "av_file_type": ("hls", "mp4")},
            [f"dir/sub/{SID}_room.m3u8", f"dir/sub/{SID}_room_0.mp4"],
        ),
        (
            {"mode": "individual"},
            [
                f"{SID}_room__uid_s_*__uid_e_audio.m3u8",
                f"{SID}_room__uid_s_*__uid_e_video.m3u8",
            ],
        ),
        (
            {"fail_overs": 2, "file_name_prefix": ("dir",)},
            [
                f"dir/{SID}_room.m3u8",
                f"dir/bak0_{SID}_room.m3u8",
                f"dir/bak1_{SID}_room.m3u8",
            ],
        ),
        ({"cname": ""}, []),
        ({"mode": ""}, []),
    ],
)
def test_names_that_should_be_in_the_bucket(known: dict[str, Any], names: list[str]) -> None:
    assert list(expected_files(session(**known))) == names
