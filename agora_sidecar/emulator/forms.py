"""Request bodies as the vendor reads them: types, what must be there, ranges (pure).

The OpenAPI document is generated from these. Source: the Cloud Recording RESTful API reference;
lenient where the sources leave doubt. A start's own parts are in `start_forms`.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from agora_sidecar.emulator.start_forms import (
    Form,
    Layout,
    Name,
    PushParam,
    StartRequest,
    StorageConfig,
    Subscribed,
    Uid,
)


class AcquireRequest(Form):
    """`clientRequest` of `acquire`; a wrong `startParameter` shows at the start."""

    scene: Literal[0, 1, 2] = 0
    resource_expired_hour: Annotated[int, Meta(ge=1, le=720)] = 72
    start_parameter: Any = None
    exclude_resource_ids: list[str] = field(default_factory=list)
    region: Literal["CN", "AP", "EU", "NA"] | None = None
    region_affinity: Annotated[int, Meta(ge=0, le=4)] = 0


class AudioUidList(Form):
    """Whose audio, set anew."""

    subscribe_audio_uids: Subscribed | None = None
    un_subscribe_audio_uids: Subscribed | None = None
    unsubscribe_audio_uids: Subscribed | None = None


class VideoUidList(Form):
    """Whose video, set anew."""

    subscribe_video_uids: Subscribed | None = None
    un_subscribe_video_uids: Subscribed | None = None
    unsubscribe_video_uids: Subscribed | None = None


class StreamSubscribe(Form):
    """The subscription, set anew."""

    audio_uid_list: AudioUidList | None = None
    video_uid_list: VideoUidList | None = None


class WebRecordingConfig(Form):
    """Whether a page's recording pauses."""

    onhold: bool = False


class UpdateRequest(Form):
    """`clientRequest` of `update`."""

    stream_subscribe: StreamSubscribe | None = None
    web_recording_config: WebRecordingConfig | None = None
    rtmp_publish_config: PushParam | None = None
    storage_config: StorageConfig | None = None


class StopRequest(Form):
    """`clientRequest` of `stop`."""

    async_stop: bool = field(default=False, name="async_stop")


class AcquireBody(Form):
    """The body of `acquire`; `clientRequest` may be missing, as the reference has it."""

    cname: Name
    uid: Uid
    client_request: AcquireRequest = field(default_factory=AcquireRequest)


class StartBody(Form):
    """The body of `start`."""

    cname: Name
    uid: Uid
    client_request: StartRequest


class UpdateBody(Form):
    """The body of `update`."""

    cname: Name
    uid: Uid
    client_request: UpdateRequest


class LayoutBody(Form):
    """The body of `updateLayout`."""

    cname: Name
    uid: Uid
    client_request: Layout


class StopBody(Form):
    """The body of `stop`."""

    cname: Name
    uid: Uid
    client_request: StopRequest
