"""Bodies of the REST API as typed models, each with every property and rule of the reference.

Models and rules are one: a field is a property, its annotation carries the rules, `TOGETHER` those
over several properties. `check` tells everything that is wrong with a body, a model or plain JSON;
the table in `docs/api.md` is generated from here. Where the vendor's own pages contradict each
other, the newer and the wider one is taken, with the names that go over the wire today.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from agora_sidecar.agora.calls import ACQUIRE, START, STOP, UPDATE, UPDATE_LAYOUT
from agora_sidecar.agora.errors import Violation
from agora_sidecar.agora.recordings import MIX, MODES
from agora_sidecar.agora.requests import check as checking
from agora_sidecar.agora.requests.bodies import (
    MODES_OF_SCENE,
    AcquireClientRequest,
    AcquireRequest,
    AudioUidList,
    RtmpPublishConfig,
    StartClientRequest,
    StartRequest,
    StopClientRequest,
    StopRequest,
    StreamSubscribe,
    UpdateClientRequest,
    UpdateLayoutRequest,
    UpdateRequest,
    VideoUidList,
    WebRecordingConfig,
)
from agora_sidecar.agora.requests.layout import (
    BackgroundConfig,
    Layout,
    LayoutConfig,
    TranscodingConfig,
)
from agora_sidecar.agora.requests.model import Model
from agora_sidecar.agora.requests.recording import (
    AppsCollection,
    Audio,
    Container,
    RecordingConfig,
    RecordingFileConfig,
    SnapshotConfig,
    TranscodeOptions,
    TransConfig,
)
from agora_sidecar.agora.requests.storage import ExtensionParams, StorageConfig
from agora_sidecar.agora.requests.web import (
    ExtensionService,
    ExtensionServiceConfig,
    Output,
    RtmpPublishParam,
    WebRecorderParam,
)

__all__ = [
    "BODIES",
    "AcquireClientRequest",
    "AcquireRequest",
    "AppsCollection",
    "Audio",
    "AudioUidList",
    "BackgroundConfig",
    "Container",
    "ExtensionParams",
    "ExtensionService",
    "ExtensionServiceConfig",
    "Layout",
    "LayoutConfig",
    "Model",
    "Output",
    "RecordingConfig",
    "RecordingFileConfig",
    "RtmpPublishConfig",
    "RtmpPublishParam",
    "SnapshotConfig",
    "StartClientRequest",
    "StartRequest",
    "StopClientRequest",
    "StopRequest",
    "StorageConfig",
    "StreamSubscribe",
    "TransConfig",
    "TranscodeOptions",
    "TranscodingConfig",
    "UpdateClientRequest",
    "UpdateLayoutRequest",
    "UpdateRequest",
    "VideoUidList",
    "WebRecorderParam",
    "WebRecordingConfig",
    "as_json",
    "check",
    "spelled",
]

BODIES: Mapping[str, type[Model]] = {
    ACQUIRE: AcquireRequest,
    START: StartRequest,
    UPDATE: UpdateRequest,
    UPDATE_LAYOUT: UpdateLayoutRequest,
    STOP: StopRequest,
}
"""The model of each call's body."""


def as_json(body: Model | Mapping[str, Any]) -> Any:
    """A model as plain JSON values; plain values are left as they are."""
    return msgspec.to_builtins(body) if isinstance(body, msgspec.Struct) else body


def check(call: str, body: Model | Mapping[str, Any], *, mode: str = "") -> tuple[Violation, ...]:
    """Everything in a body that the reference does not allow; `mode` is the path's.

    For `acquire`, which has none, it follows from the scene.
    """
    value = as_json(body)
    if mode and mode not in MODES:
        return (Violation("mode", f"must be one of {', '.join(MODES)}", "String"),)
    if call == UPDATE_LAYOUT and mode not in {"", MIX}:
        return (Violation("mode", f"must be {MIX}", "String"),)
    modes = frozenset({mode} if mode else _modes_of(call, value))
    return tuple(checking.violations(BODIES[call], value, modes=modes))


def spelled(call: str, body: Any) -> Any:
    """A body with the names that go over the wire where another spelling in use was given."""
    return checking.spelled(BODIES[call], body)


def _modes_of(call: str, body: Any) -> tuple[str, ...]:
    if call == UPDATE_LAYOUT:
        return (MIX,)
    request = body.get("clientRequest") if isinstance(body, Mapping) else None
    scene = request.get("scene", 0) if isinstance(request, Mapping) else None
    return MODES_OF_SCENE.get(scene, MODES) if call == ACQUIRE and type(scene) is int else MODES
