"""Bodies of requests that the reference allows, each as full as a body can be; and one by one."""

from copy import deepcopy
from typing import Any, NamedTuple

from agora_sidecar.agora.recordings import MODES
from agora_sidecar.agora.requests import BODIES, StartClientRequest
from agora_sidecar.agora.requests.table import Row, rows

SALT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SECRETS = ("t0ken-secret", "access-secret", "storage-secret", "sts-secret", "key-secret", SALT)
"""What must be in no log, error or answer of ours."""


class Given(NamedTuple):
    """One call: `mode` is empty for acquire, where it follows from the scene."""

    call: str
    mode: str
    body: dict[str, Any]


def storage(**more: Any) -> dict[str, Any]:
    return {
        "vendor": 1,
        "region": 5,
        "bucket": "bucket",
        "accessKey": "access-secret",
        "secretKey": "storage-secret",
        "stsToken": "sts-secret",
        "stsExpiration": 1_800_000_000,
        "fileNamePrefix": ["directory1", "directory2"],
        "extensionParams": {"sse": "kms", "tag": "a=b", "endpoint": "s3.example"},
    } | more


def layout(**more: Any) -> dict[str, Any]:
    return {
        "mixedVideoLayout": 3,
        "backgroundColor": "#FF00aa",
        "backgroundImage": "http://example.com/b.jpg",
        "defaultUserBackgroundImage": "https://example.com/u.bmp",
        "layoutConfig": [
            {
                "uid": "1",
                "x_axis": 0,
                "y_axis": 0.5,
                "width": 1,
                "height": 0.333333,
                "alpha": 0.5,
                "render_mode": 1,
            }
        ],
        "backgroundConfig": [
            {"uid": "1", "image_url": "https://example.com/u.jpg", "render_mode": 0}
        ],
    } | more


def recording(**more: Any) -> dict[str, Any]:
    return {
        "channelType": 1,
        "decryptionMode": 7,
        "secret": "key-secret",
        "salt": SALT,
        "maxIdleTime": 300,
        "streamTypes": 2,
        "videoStreamType": 0,
        "subscribeAudioUids": ["123", "456"],
        "subscribeVideoUids": ["#allstream#"],
        "privateParams": '{"a":1}',
    } | more


def order(client_request: dict[str, Any], *, cname: str = "room 1", uid: str = "527841") -> Any:
    return {"cname": cname, "uid": uid, "clientRequest": client_request}


MIX_START = {
    "token": "t0ken-secret",
    "storageConfig": storage(),
    "recordingConfig": recording(
        audioProfile=1,
        transcodingConfig=layout(width=1280, height=720, fps=15, bitrate=1130),
    ),
    "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
}
EVERYBODY_BUT = {
    "storageConfig": storage(
        vendor=8, region=1, stsToken="", extensionParams={"sse": "", "tag": ""}
    ),
    "recordingConfig": {
        "channelType": 0,
        "unSubscribeAudioUids": ["7"],
        "unSubscribeVideoUids": ["7", "8"],
        "transcodingConfig": {"mixedVideoLayout": 2, "maxResolutionUid": "4294967295"},
    },
    "recordingFileConfig": {"avFileType": ["hls"]},
}
INDIVIDUAL_START = {
    "token": "t0ken-secret",
    "storageConfig": storage(vendor=2, region=3, extensionParams={"tag": "t"}),
    "recordingConfig": recording(subscribeUidGroup=1, streamMode="standard"),
    "recordingFileConfig": {"avFileType": ["hls"]},
    "snapshotConfig": {"captureInterval": 5, "fileType": ["jpg"]},
}
POSTPONED_START = {
    "storageConfig": storage(),
    "recordingConfig": {
        "channelType": 0,
        "subscribeUidGroup": 0,
        "streamTypes": 0,
        "streamMode": "original",
    },
    "recordingFileConfig": {"avFileType": ["hls"]},
    "appsCollection": {"combinationPolicy": "postpone_transcoding"},
    "transcodeOptions": {
        "transConfig": {"transMode": "audioMix"},
        "container": {"format": "mp3"},
        "audio": {"sampleRate": "48000", "bitrate": "48000", "channels": "2"},
    },
}
WEB_START = {
    "storageConfig": storage(),
    "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
    "extensionServiceConfig": {
        "errorHandlePolicy": "error_abort",
        "extensionServices": [
            {
                "serviceName": "web_recorder_service",
                "errorHandlePolicy": "error_abort",
                "serviceParam": {
                    "url": "https://example.com/page",
                    "audioProfile": 0,
                    "videoWidth": 1280,
                    "videoHeight": 720,
                    "maxRecordingHour": 1,
                    "videoBitrate": 2000,
                    "videoFps": 15,
                    "mobile": False,
                    "maxVideoDuration": 120,
                    "onhold": False,
                    "readyTimeout": 0,
                },
            },
            {
                "serviceName": "rtmp_publish_service",
                "errorHandlePolicy": "error_ignore",
                "serviceParam": {"outputs": [{"rtmpUrl": "rtmp://example.com/app/key"}]},
            },
        ],
    },
}
SUBSCRIBE = {
    "audioUidList": {"subscribeAudioUids": ["1", "2"]},
    "videoUidList": {"unSubscribeVideoUids": ["3"]},
}
WANTED = {"resourceExpiredHour": 72, "excludeResourceIds": ["RID"], "regionAffinity": 0}

FULL: tuple[Given, ...] = (
    Given("acquire", "", order({"scene": 0, "startParameter": MIX_START, **WANTED})),
    Given("acquire", "", order({"scene": 1, "startParameter": WEB_START, "region": "EU"})),
    Given("acquire", "", order({"scene": 2, "startParameter": POSTPONED_START})),
    Given("start", "mix", order(MIX_START)),
    Given("start", "mix", order(EVERYBODY_BUT)),
    Given("start", "individual", order(INDIVIDUAL_START)),
    Given("start", "individual", order(POSTPONED_START)),
    Given("start", "web", order(WEB_START, cname="a page: äöü")),
    Given("update", "mix", order({"streamSubscribe": SUBSCRIBE, "storageConfig": storage()})),
    Given(
        "update",
        "individual",
        order(
            {
                "streamSubscribe": {
                    "audioUidList": {"unSubscribeAudioUids": ["1"]},
                    "videoUidList": {"subscribeVideoUids": ["#allstream#"]},
                }
            }
        ),
    ),
    Given(
        "update",
        "web",
        order(
            {
                "webRecordingConfig": {"onhold": True},
                "rtmpPublishConfig": {"outputs": [{"rtmpUrl": "rtmps://example.com/k"}]},
            }
        ),
    ),
    Given("updateLayout", "mix", order(layout())),
    Given("stop", "mix", order({"async_stop": True})),
    Given("stop", "individual", order({"async_stop": False})),
    Given("stop", "web", order({})),
)
LEAST: tuple[Given, ...] = (
    Given("acquire", "", order({})),
    Given(
        "start",
        "mix",
        order(
            {
                "storageConfig": {
                    name: storage()[name]
                    for name in ("vendor", "region", "bucket", "accessKey", "secretKey")
                },
                "recordingFileConfig": {},
            }
        ),
    ),
    Given(
        "start",
        "individual",
        order({"storageConfig": storage(), "snapshotConfig": {"fileType": ["jpg"]}}),
    ),
    Given("update", "mix", order({})),
    Given("updateLayout", "mix", order({})),
    Given("stop", "mix", order({})),
)

LEAST_START: dict[str, Any] = LEAST[1].body["clientRequest"]
"""The least that a start of a composite recording must say."""


def full(call: str, mode: str) -> dict[str, Any]:
    """A copy of the first full body of this call in this mode."""
    return deepcopy(next(g.body for g in FULL if (g.call, g.mode) == (call, mode)))


def table() -> list[tuple[str, Row]]:
    """Every rule: the call, and the row of its body. A start's rules stand with start alone."""
    return [
        (call, row)
        for call, model in BODIES.items()
        for row in rows(
            model,
            modes=("mix",) if call == "updateLayout" else MODES,
            leave_out=StartClientRequest if call == "acquire" else None,
        )
    ]
