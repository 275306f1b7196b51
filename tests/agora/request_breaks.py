"""For each rule of the table a body that breaks it, and as far as can be nothing else."""

import re
from collections.abc import Callable, Iterator, MutableMapping
from copy import deepcopy
from typing import Any

from agora_sidecar.agora.requests.table import Row
from tests.agora.request_bodies import FULL, Given, full, order

PLAYERS = ["1", "2", "3"]
WRONG_TYPE: dict[str, list[Any]] = {
    "must be a String": [5, None, ["a"]],
    "must be a whole Number": ["5", 1.5, True, None],
    "must be a Number": ["0.5", True, None],
    "must be a Boolean": ["true", 1, None],
    "must be an Object": ["x", [], None],
    "must be an Array": ["x", {}, None],
}
WRONG_FORM: dict[str, list[Any]] = {
    "must be Unix time in seconds": [0, 1_800_000_000_000],
    "must have at most 128 characters with its slashes": [["a" * 64, "b" * 63]],
    "must be letters a-z, A-Z and digits": ["a/b", "a_b", "(a)", "", "é"],
    "must not be empty": [""],
    "must be the Base64 of 32 bytes": ["AAEC", "not base64!"],
    "must be JSON": ["{", ""],
    'must be ["#allstream#"] alone, or uids': [["1", "#allstream#"]],
    "must be # and 6 hexadecimal digits": ["red", "#12345", "#1234567", "123456", "#GGGGGG"],
    "must be a URL: http:// or https://": ["ftp://a/b", "example.com", "", "https://"],
    "must be a URL: rtmp:// or rtmps://": ["http://a/b", "rtmp://", ""],
    'must be ["hls"] or ["hls", "mp4"]': [["mp4"], [], ["hls", "hls"]],
    'must be ["hls"] in individual mode': [["hls", "mp4"]],
    'must be ["jpg"]': [["png"], [], ["jpg", "jpg"]],
    "must be a number, as a String": ["48k", "", "-1"],
}
UIDS = ["0", "", "-1", "4294967296", "1.5", "user", " 1", "١"]


def breaking(call: str, row: Row) -> Iterator[tuple[Given, str]]:
    """Bodies that break this rule, each with the path of what breaks it."""
    if row.name in BY_HAND:
        yield from BY_HAND[row.name](call, row)
        return
    for value in wrong_values(row):
        given = _base(call, row)
        path = _set(given.body, row.path, value)
        yield given, path


def wrong_values(row: Row) -> list[Any]:
    """Values of the right type that this rule does not allow."""
    if row.text in WRONG_FORM:
        return WRONG_FORM[row.text]
    numbers = [int(number) for number in re.findall(r"\d+", row.text)]
    by_name: dict[str, Callable[[], list[Any]]] = {
        "type": lambda: WRONG_TYPE[row.text],
        "one-of": lambda: ["nonsense"] if '"' in row.text else [999, -1],
        "range": lambda: [numbers[0] - 1, *[number + 1 for number in numbers[1:]]],
        "uid": lambda: UIDS,
        "length": lambda: ["", "x" * (numbers[-1] + 1)],
        "characters": lambda: ["room/1", "room\n", "räum", 'a"b'],
        "entries": lambda: [_entries(row, numbers[-1] + 1), *[[] for _ in numbers[1:]]],
    }
    return by_name[row.name]()


def _entries(row: Row, count: int) -> list[Any]:
    window = {"x_axis": 0, "y_axis": 0, "width": 1, "height": 1}
    if row.path.endswith("layoutConfig"):
        return [window] * count
    if row.path.endswith("outputs"):
        return [{"rtmpUrl": "rtmp://a/b"}] * count
    if row.path.endswith("extensionServices"):
        services = full("start", "web")["clientRequest"]["extensionServiceConfig"]
        return [*services["extensionServices"], services["extensionServices"][0]][:count]
    return [str(number + 1) for number in range(count)]


def _base(call: str, row: Row) -> Given:
    """The first full body that has what the row speaks of, in one of its modes; or has its place."""
    if call == "acquire" and row.modes == ("web",):
        return Given(call, "", order({"scene": 1}))
    fitting = [g for g in FULL if g.call == call and (not g.mode or g.mode in row.modes)]
    having = [g for g in fitting if _has(g.body, row.path)]
    placing = [g for g in fitting if _holder(g.body, row.path) is not None]
    found = (having or placing)[0]
    return Given(call, found.mode, deepcopy(found.body))


def _steps(path: str) -> list[str | int]:
    return [0 if part == "[]" else part for part in re.findall(r"\[\]|[^.\[\]]+", path)]


def _holder(body: Any, path: str) -> Any:
    """The object or array in which the last step of this path is; None where there is none.

    Of several entries the first that has it.
    """
    steps = _steps(path)
    holders = [body]
    for step in steps[:-1]:
        if step == 0:
            holders = [entry for holder in holders if isinstance(holder, list) for entry in holder]
        else:
            holders = [h[step] for h in holders if isinstance(h, dict) and step in h]
    fitting = [h for h in holders if isinstance(h, list if steps[-1] == 0 else dict)]
    having = [h for h in fitting if steps[-1] == 0 or steps[-1] in h]
    return (having or fitting or [None])[0]


def _has(body: Any, path: str) -> bool:
    holder, last = _holder(body, path), _steps(path)[-1]
    return bool(holder) and (last == 0 or last in holder)


def _set(body: Any, path: str, value: Any) -> str:
    """Put a value there; the path with the numbers of entries."""
    holder, last = _holder(body, path), _steps(path)[-1]
    holder[last] = value
    return exact(body, path, holder)


def exact(body: Any, path: str, holder: Any) -> str:
    """The path with the number of the entry in which the holder is."""
    found = _find(body, holder)
    end = _steps(path)[-1]
    last = "[0]" if end == 0 else str(end)
    return f"{found}{last}" if last.startswith("[") or not found else f"{found}.{last}"


def _find(value: Any, holder: Any, at: str = "") -> str | None:
    if value is holder:
        return at
    entries = (
        [(f"{at}.{name}" if at else name, inner) for name, inner in value.items()]
        if isinstance(value, dict)
        else [(f"{at}[{number}]", inner) for number, inner in enumerate(value)]
        if isinstance(value, list)
        else []
    )
    found = (_find(inner, holder, name) for name, inner in entries)
    return next((one for one in found if one is not None), None)


Breaker = Callable[[str, Row], Iterator[tuple[Given, str]]]


def _required(call: str, row: Row) -> Iterator[tuple[Given, str]]:
    given = _base(call, row)
    holder = _holder(given.body, row.path)
    path = exact(given.body, row.path, holder)
    del holder[_steps(row.path)[-1]]
    yield given, path


def _mode(call: str, row: Row) -> Iterator[tuple[Given, str]]:
    allowed = re.findall(r"individual|mix|web", row.text)
    source = next(g for g in FULL if g.call == call and _has(g.body, row.path))
    value = deepcopy(_holder(source.body, row.path)[_steps(row.path)[-1]])
    for mode in {"individual", "mix", "web"} - set(allowed):
        given = Given(call, mode, full(call, mode))
        parent = _holder(given.body, row.path)
        if parent is None:
            continue  # the parent itself is not for this mode
        yield given, _set(given.body, row.path, value)


def _with(mode: str, changes: dict[str, Any]) -> Breaker:
    """The full body of this mode, changed: a path and its value, or `...` for nothing there."""

    def breaker(call: str, row: Row) -> Iterator[tuple[Given, str]]:
        if call == "acquire":
            mode_there, body = "", deepcopy(next(g.body for g in FULL if g.call == call))
        else:
            mode_there, body = mode, full(call, mode)
        base = row.path.removesuffix(_tail(row))
        for path, value in changes.items():
            holder, last = _holder(body, f"{base}{path}"), _steps(path)[-1]
            assert isinstance(holder, MutableMapping), (base, path)
            if value is ...:
                holder.pop(last, None)
            else:
                holder[last] = value
        holder = _holder(body, row.path)
        yield Given(call, mode_there, body), exact(body, row.path, holder)

    return breaker


def _tail(row: Row) -> str:
    """What of the path is below the object whose rule it is."""
    deep = {
        "sse vendor": 2,
        "tag vendor": 2,
        "endpoint needed": 2,
        "group needed": 2,
        "snapshot's streams": 2,
        "snapshot's lists": 2,
        "format fits": 2,
        "mixing's streams": 3,
        "scene 2 postpones": 2,
        "postponing has a scene": 3,
    }
    return ".".join(row.path.split(".")[-deep.get(row.name, 1) :])


def _stream_list(call: str, row: Row) -> Iterator[tuple[Given, str]]:
    name = row.path.rpartition(".")[2]
    lists = {
        **dict.fromkeys(("subscribeAudioUids", "unSubscribeAudioUids"), ...),
        **dict.fromkeys(("subscribeVideoUids", "unSubscribeVideoUids"), ...),
    }
    streams = 1 if "Audio" in name else 0
    changes = {**lists, name: PLAYERS, "streamTypes": streams}
    yield from _with("mix", changes)(call, row)


def _both_lists(call: str, row: Row) -> Iterator[tuple[Given, str]]:
    kind = "Audio" if "Audio" in row.path else "Video"
    changes = {f"subscribe{kind}Uids": PLAYERS, f"unSubscribe{kind}Uids": PLAYERS}
    yield from _with("mix", changes)(call, row)


def _scene(call: str, row: Row) -> Iterator[tuple[Given, str]]:
    body = deepcopy(next(g.body for g in FULL if g.body["clientRequest"].get("scene") == 2))
    if row.name == "scene 2 postpones":
        del body["clientRequest"]["startParameter"]["appsCollection"]
        del body["clientRequest"]["startParameter"]["transcodeOptions"]
    else:
        body["clientRequest"]["scene"] = 0
    yield Given(call, "", body), row.path


def _services(kind: str) -> Breaker:
    def breaker(call: str, row: Row) -> Iterator[tuple[Given, str]]:
        body = full(call, "web")
        services = body["clientRequest"]["extensionServiceConfig"]["extensionServices"]
        if kind == "policy":
            services[1]["errorHandlePolicy"] = "error_abort"
            yield Given(call, "web", body), row.path.replace("[]", "[1]")
            return
        services[:] = [services[1]] if kind == "recorder" else [services[0], services[0]]
        yield Given(call, "web", body), row.path

    return breaker


def _postponed(changes: dict[str, Any]) -> Breaker:
    def breaker(call: str, row: Row) -> Iterator[tuple[Given, str]]:
        base = deepcopy(next(g.body for g in FULL if "appsCollection" in g.body["clientRequest"]))
        request = base["clientRequest"]
        for path, value in changes.items():
            holder, last = _holder(request, path), _steps(path)[-1]
            if value is ...:
                del holder[last]
            else:
                holder[last] = value
        yield Given(call, "individual", order(request)), row.path

    return breaker


PLAIN = {"secret": ..., "salt": ...}
BY_HAND: dict[str, Breaker] = {
    "required": _required,
    "mode": _mode,
    "vendor's region": _with("mix", {"region": 17}),
    "sts vendor": _with("mix", {"vendor": 7, "extensionParams": ...}),
    "sse vendor": _with("mix", {"vendor": 2, "extensionParams.sse": "aes256"}),
    "tag vendor": _with(
        "mix", {"vendor": 3, "extensionParams.sse": ..., "extensionParams.tag": "t"}
    ),
    "endpoint needed": _with(
        "mix",
        {"vendor": 11, "region": 0, "stsToken": ..., "extensionParams": {}},
    ),
    "pixels": lambda call, row: _with(
        "web" if "serviceParam" in row.path else "mix",
        {"videoWidth": 1920, "videoHeight": 1081}
        if "serviceParam" in row.path
        else {"width": 1920, "height": 1081},
    )(call, row),
    "vertical alone": _with("mix", {"maxResolutionUid": "1"}),
    "custom alone": _with("mix", {"mixedVideoLayout": 1}),
    "custom needs": _with("mix", {"layoutConfig": ...}),
    "secret needed": _with("mix", {"secret": ...}),
    "salt needed": _with("mix", {"salt": ...}),
    "one list": _both_lists,
    "stream's list": _stream_list,
    "original audio": _with("individual", {"streamMode": "original"}),
    "files needed": _with("mix", {"recordingFileConfig": ...}),
    "group needed": _with(
        "individual", {"snapshotConfig": ..., "recordingConfig.subscribeUidGroup": ...}
    ),
    "snapshot's streams": _with(
        "individual",
        {
            "recordingConfig.streamTypes": 0,
            "recordingConfig.subscribeVideoUids": ...,
            "recordingConfig.subscribeAudioUids": ...,
        },
    ),
    "snapshot's lists": _with("individual", {"recordingConfig.subscribeVideoUids": ...}),
    "options needed": _postponed({"transcodeOptions": ...}),
    "options alone": _postponed({"appsCollection": ...}),
    "mixing's streams": _postponed({"recordingConfig.streamMode": "default"}),
    "format fits": _postponed({"transcodeOptions.container.format": "mp4"}),
    "audio alone": _postponed(
        {
            "transcodeOptions.transConfig.transMode": "postponeTranscoding",
            "transcodeOptions.container.format": "mp4",
        }
    ),
    "scene 2 postpones": _scene,
    "postponing has a scene": _scene,
    "policy fits": _services("policy"),
    "recorder needed": _services("recorder"),
    "service twice": _services("twice"),
}
