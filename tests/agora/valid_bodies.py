"""Hypothesis strategies: bodies that the reference allows, drawn from its rules; for every call.

`valid_bodies()` draws a whole `Given`; `valid_bodies("start", "mix")` one of that call and mode.
"""

from typing import Any

from hypothesis import strategies as st

from agora_sidecar.agora.requests.storage import REGIONS
from tests.agora.request_bodies import SALT, Given

CHANNEL_CHARACTERS = "abcXYZ019 !#$%&()+-:;<=.>?@[]^_{}~,|"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
MODES = ("individual", "mix", "web")

uids = st.integers(1, 2**32 - 1).map(str)
uid_lists = st.lists(uids, min_size=1, max_size=32, unique=True)
subscribed = st.just(["#allstream#"]) | uid_lists
parts = st.sampled_from([0, 1, 0.5, 0.333333]) | st.floats(0, 1).map(lambda x: round(x, 6))
pictures = st.sampled_from(["http://example.com/a.jpg", "https://example.com/b.bmp"])
keys = st.text(LETTERS, min_size=1, max_size=20)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these properties."""
    return st.fixed_dictionaries({}, optional=fields)


def cnames(mode: str) -> st.SearchStrategy[str]:
    if mode == "web":
        return st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=32)
    return st.text(CHANNEL_CHARACTERS, min_size=1, max_size=63)


@st.composite
def storages(draw: st.DrawFn) -> dict[str, Any]:
    vendor = draw(st.sampled_from(sorted(REGIONS)))
    more = {"stsToken": keys, "stsExpiration": st.integers(10**9, 10**11 - 1)}
    params = {
        **({"sse": st.sampled_from(["kms", "aes256"])} if vendor == 1 else {}),
        **({"tag": keys} if vendor in {1, 2} else {}),
    }
    extension = (
        {"endpoint": "s3.example.com"} if vendor == 11 else draw(some(**params)) if params else {}
    )
    return {
        "vendor": vendor,
        "region": draw(st.sampled_from(sorted(REGIONS[vendor]))),
        "bucket": draw(keys),
        "accessKey": draw(keys),
        "secretKey": draw(keys),
        **(draw(some(**more)) if vendor in {1, 2, 3} else {}),
        **draw(
            some(fileNamePrefix=st.lists(st.text(LETTERS, min_size=1, max_size=20), max_size=6))
        ),
        **({"extensionParams": extension} if extension else {}),
    }


windows = st.fixed_dictionaries(
    {"x_axis": parts, "y_axis": parts, "width": parts, "height": parts},
    optional={"uid": uids, "alpha": parts, "render_mode": st.sampled_from([0, 1])},
)
backgrounds = st.fixed_dictionaries(
    {"uid": uids, "image_url": pictures}, optional={"render_mode": st.sampled_from([0, 1])}
)


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from([None, 0, 1, 2, 3]))
    found = draw(
        some(
            backgroundColor=st.from_regex("#[0-9a-fA-F]{6}", fullmatch=True),
            backgroundImage=pictures,
            defaultUserBackgroundImage=pictures,
            backgroundConfig=st.lists(backgrounds, max_size=3),
        )
    )
    if kind is not None:
        found["mixedVideoLayout"] = kind
    if kind == 2:
        found |= draw(some(maxResolutionUid=uids))
    if kind == 3:
        found["layoutConfig"] = draw(st.lists(windows, min_size=1, max_size=17))
    return found


@st.composite
def lists(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    name = draw(st.sampled_from(["", f"subscribe{kind}Uids", f"unSubscribe{kind}Uids"]))
    if not name:
        return {}
    return {name: draw(subscribed if name.startswith("subscribe") else uid_lists)}


@st.composite
def recordings(draw: st.DrawFn, mode: str, *, streams: int) -> dict[str, Any]:
    decryption = draw(st.integers(0, 8))
    found: dict[str, Any] = {
        "channelType": draw(st.sampled_from([0, 1])),
        "streamTypes": streams,
        **draw(
            some(maxIdleTime=st.integers(5, 2_592_000), videoStreamType=st.sampled_from([0, 1]))
        ),
        **(draw(lists("Audio")) if streams != 1 else {}),
        **(draw(lists("Video")) if streams != 0 else {}),
    }
    if decryption:
        found |= {"decryptionMode": decryption, "secret": draw(keys)}
    if decryption in {7, 8}:
        found["salt"] = SALT
    if mode == "individual":
        found["subscribeUidGroup"] = draw(st.integers(0, 5))
        modes = ["default", "standard", *(["original"] if streams == 0 else [])]
        return found | draw(some(streamMode=st.sampled_from(modes)))
    size = draw(st.sampled_from([{}, {"width": 1920, "height": 1080}, {"width": 360}]))
    numbers = some(fps=st.sampled_from([1, 7, 15, 30, 60]), bitrate=st.integers(1, 6500))
    config = st.builds(lambda layout, n: {**layout, **n, **size}, layouts(), numbers)
    return found | draw(some(audioProfile=st.integers(0, 2), transcodingConfig=config))


@st.composite
def channel_starts(draw: st.DrawFn, mode: str, *, postponed: bool = False) -> dict[str, Any]:
    kind = draw(st.sampled_from(["record", "both", "snapshot"])) if mode == "individual" else ""
    kind = "record" if postponed else kind
    streams = draw(st.sampled_from([1, 2] if kind in {"both", "snapshot"} else [0, 1, 2]))
    config = draw(recordings(mode, streams=streams))
    if kind in {"both", "snapshot"} and "subscribeAudioUids" in config:
        config.pop("unSubscribeVideoUids", None)
        config.setdefault("subscribeVideoUids", ["#allstream#"])
    found = {"storageConfig": draw(storages()), **draw(some(token=keys))}
    if streams != 2 or config.keys() != {"channelType", "streamTypes"}:
        found["recordingConfig"] = config
    types = [["hls"]] if mode == "individual" else [["hls"], ["hls", "mp4"]]
    if kind != "snapshot":
        found["recordingFileConfig"] = draw(some(avFileType=st.sampled_from(types)))
    if kind in {"both", "snapshot"}:
        found["snapshotConfig"] = {"fileType": ["jpg"]} | draw(
            some(captureInterval=st.integers(5, 3600))
        )
    if postponed:
        found |= {
            "appsCollection": {"combinationPolicy": "postpone_transcoding"},
            "transcodeOptions": {"transConfig": {"transMode": "postponeTranscoding"}}
            | draw(some(container=st.just({"format": "mp4"}))),
        }
    return found


web_params = st.fixed_dictionaries(
    {
        "url": st.just("https://example.com/page?id=1"),
        "audioProfile": st.integers(0, 2),
        "videoWidth": st.integers(240, 1920),
        "videoHeight": st.integers(240, 1080),
        "maxRecordingHour": st.integers(1, 720),
    },
    optional={
        "videoBitrate": st.integers(50, 8000),
        "videoFps": st.integers(5, 60),
        "mobile": st.booleans(),
        "maxVideoDuration": st.integers(30, 240),
        "onhold": st.booleans(),
        "readyTimeout": st.integers(0, 60),
    },
)
outputs = st.just([{"rtmpUrl": "rtmp://example.com/app/key"}])


@st.composite
def web_starts(draw: st.DrawFn) -> dict[str, Any]:
    recorder = {"serviceName": "web_recorder_service", "serviceParam": draw(web_params)}
    recorder |= draw(some(errorHandlePolicy=st.just("error_abort")))
    publisher = {
        "serviceName": "rtmp_publish_service",
        "serviceParam": {"outputs": draw(outputs)},
        "errorHandlePolicy": "error_ignore",
    }
    services = draw(st.sampled_from([[recorder], [recorder, publisher]]))
    types = st.sampled_from([["hls"], ["hls", "mp4"]])
    return {
        "storageConfig": draw(storages()),
        "recordingFileConfig": draw(some(avFileType=types)),
        "extensionServiceConfig": {"extensionServices": services},
    }


def starts(mode: str, *, postponed: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """`clientRequest` of a start."""
    return web_starts() if mode == "web" else channel_starts(mode, postponed=postponed)


@st.composite
def acquires(draw: st.DrawFn, mode: str) -> dict[str, Any]:
    """`clientRequest` of an acquire for a recording in this mode."""
    scene = 1 if mode == "web" else draw(st.sampled_from([0, 2] if mode == "individual" else [0]))
    return {"scene": scene} | draw(
        some(
            resourceExpiredHour=st.integers(1, 720),
            startParameter=starts(mode, postponed=scene == 2),
            excludeResourceIds=st.lists(keys, max_size=2),
            region=st.sampled_from(["CN", "AP", "EU", "NA"]),
            regionAffinity=st.integers(0, 4),
        )
    )


def updates(mode: str) -> st.SearchStrategy[dict[str, Any]]:
    """`clientRequest` of an update."""
    if mode == "web":
        return some(
            webRecordingConfig=some(onhold=st.booleans()),
            rtmpPublishConfig=st.fixed_dictionaries({"outputs": outputs}),
        )
    subscribe = some(audioUidList=lists("Audio"), videoUidList=lists("Video"))
    return some(streamSubscribe=subscribe, storageConfig=storages())


def client_requests(call: str, mode: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any `clientRequest` of this call in this mode."""
    return {
        "acquire": lambda: acquires(mode),
        "start": lambda: starts(mode),
        "update": lambda: updates(mode),
        "updateLayout": layouts,
        "stop": lambda: some(async_stop=st.booleans()),
    }[call]()


@st.composite
def valid_bodies(draw: st.DrawFn, call: str = "", mode: str = "") -> Given:
    """One call with its whole body."""
    calls = ["acquire", "start", "update", "updateLayout", "stop"]
    call = call or draw(st.sampled_from(calls))
    mode = "mix" if call == "updateLayout" else mode or draw(st.sampled_from(MODES))
    body = {
        "cname": draw(cnames(mode)),
        "uid": draw(uids),
        "clientRequest": draw(client_requests(call, mode)),
    }
    return Given(call, "" if call == "acquire" else mode, body)
