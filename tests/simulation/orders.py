"""What the business server orders: a start's `clientRequest`, by mode (pure)."""

from typing import Any

from agora_sidecar.agora.recordings import INDIVIDUAL, MIX, WEB

SCENES = {MIX: 0, INDIVIDUAL: 0, WEB: 1}
_STORAGE = {"vendor": 1, "region": 0, "bucket": "b", "accessKey": "k", "secretKey": "s"}


def client_request(mode: str, *, max_idle: int, mp4: bool) -> dict[str, Any]:
    """The `clientRequest` of a start."""
    formats = ["hls", "mp4"] if mp4 and mode != INDIVIDUAL else ["hls"]
    common = {"storageConfig": _STORAGE, "recordingFileConfig": {"avFileType": formats}}
    if mode != WEB:
        return {**common, "recordingConfig": {"maxIdleTime": max_idle}}
    page = {
        "url": "https://example.com/page",
        "audioProfile": 0,
        "videoWidth": 1280,
        "videoHeight": 720,
        "maxRecordingHour": 1,
    }
    service = {"serviceName": "web_recorder_service", "serviceParam": page}
    return {**common, "extensionServiceConfig": {"extensionServices": [service]}}
