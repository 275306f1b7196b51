"""Pages that are recorded, and streams that they are pushed to: `extensionServiceConfig`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from agora_sidecar.agora.requests.layout import too_many_pixels
from agora_sidecar.agora.requests.model import Model, Together
from agora_sidecar.agora.requests.rules import (
    SECRET,
    STREAM_ADDRESS,
    WEB_ADDRESS,
    Also,
    Between,
    Entries,
    Kinds,
    OneOf,
)

RECORDER, PUBLISHER = "web_recorder_service", "rtmp_publish_service"
MAX_OUTPUTS = 1
Side = Between(240, 1920)


class Output(Model, frozen=True, kw_only=True):
    """A stream to push to; its address may hold a key, so it is not shown."""

    rtmp_url: Annotated[str, SECRET, STREAM_ADDRESS]


class WebRecorderParam(Model, frozen=True, kw_only=True):
    """A page, and the video that is made of it."""

    url: Annotated[str, SECRET, WEB_ADDRESS]
    audio_profile: Annotated[int, OneOf((0, 1, 2))]
    video_width: Annotated[int, Side]
    video_height: Annotated[int, Side]
    max_recording_hour: Annotated[int, Between(1, 720)]
    video_bitrate: Annotated[int | None, Between(1), Also(("VideoBitrate",))] = None
    video_fps: Annotated[int | None, Between(5, 60)] = None
    mobile: bool | None = None
    max_video_duration: Annotated[int | None, Between(30, 240)] = None
    onhold: bool | None = None
    ready_timeout: Annotated[int | None, Between(0, 60)] = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together(
            "pixels",
            "videoWidth",
            "times videoHeight must be at most 1920 x 1080",
            lambda o: too_many_pixels(o.get("videoWidth"), o.get("videoHeight")),
        ),
    )


class RtmpPublishParam(Model, frozen=True, kw_only=True):
    """Where a page's recording is pushed to."""

    outputs: Annotated[Sequence[Output], Entries(MAX_OUTPUTS, least=1)]


def _odd_policy(service: Mapping[str, Any]) -> bool:
    fitting = {RECORDER: "error_abort", PUBLISHER: "error_ignore"}.get(
        str(service.get("serviceName"))
    )
    policy = service.get("errorHandlePolicy")
    return policy is not None and fitting is not None and policy != fitting


class ExtensionService(Model, frozen=True, kw_only=True):
    """One service, and what it is told."""

    service_name: Annotated[str, OneOf((RECORDER, PUBLISHER))]
    error_handle_policy: Annotated[str | None, OneOf(("error_abort", "error_ignore"))] = None
    service_param: Annotated[
        WebRecorderParam | RtmpPublishParam,
        Kinds("serviceName", ((RECORDER, WebRecorderParam), (PUBLISHER, RtmpPublishParam))),
    ]

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together(
            "policy fits",
            "errorHandlePolicy",
            f'must be "error_abort" for {RECORDER}, "error_ignore" for {PUBLISHER}',
            _odd_policy,
        ),
    )


def _names(config: Mapping[str, Any]) -> list[Any]:
    services = config.get("extensionServices")
    found = services if isinstance(services, list) else []
    return [service.get("serviceName") for service in found if isinstance(service, Mapping)]


class ExtensionServiceConfig(Model, frozen=True, kw_only=True):
    """The services of a page's recording."""

    error_handle_policy: Annotated[str | None, OneOf(("error_abort",))] = None
    extension_services: Annotated[Sequence[ExtensionService], Entries(2, least=1)]

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together(
            "recorder needed",
            "extensionServices",
            f"must have one {RECORDER}",
            lambda o: bool(_names(o)) and RECORDER not in _names(o),
        ),
        Together(
            "service twice",
            "extensionServices",
            "must not have the same service twice",
            lambda o: len(set(map(str, _names(o)))) < len(_names(o)),
        ),
    )
