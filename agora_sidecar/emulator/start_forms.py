"""What a start asks for, as the vendor reads it: types, what must be there, ranges (pure).

Source: the Cloud Recording RESTful API reference and
the fact sheet's conflicts; lenient where the sources leave doubt. What depends on several fields
stands in `orders`. Unknown fields pass.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Name = Annotated[str, Meta(min_length=1, max_length=1024)]
Uid = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,9}$")]
"""An integer from 1 to 4294967295."""
Subscribed = Annotated[list[str], Meta(max_length=32)]
Share = Annotated[float, Meta(ge=0, le=1)]
"""A part of the canvas, of an opacity."""
Colour = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$")]
Positive = Annotated[int, Meta(ge=1)]
RtmpUrl = Annotated[str, Meta(pattern=r"^rtmps?://.+")]
PageUrl = Annotated[str, Meta(pattern=r"^https?://.+")]
ImageUrl = Annotated[str, Meta(pattern=r"^https?://.+")]
Prefix = Annotated[list[Annotated[str, Meta(pattern=r"^[A-Za-z0-9]+$")]], Meta(max_length=64)]


class Form(Struct, rename="camel", kw_only=True):
    """A JSON object with the vendor's names."""


class ExtensionParams(Form):
    """Encryption, tag and endpoint of a storage."""

    sse: Literal["kms", "aes256", ""] = ""
    tag: str = ""
    endpoint: str = ""


class StorageConfig(Form):
    """Where files go; whether the keys are right shows later."""

    vendor: int
    region: int
    bucket: Annotated[str, Meta(min_length=1)]
    access_key: str
    secret_key: str
    sts_token: str = ""
    sts_expiration: Annotated[int, Meta(ge=0)] = 0
    file_name_prefix: Prefix = field(default_factory=list)
    extension_params: ExtensionParams | None = None


class Region(Form):
    """One user's place on the canvas; no uid: in the order of joining."""

    x_axis: Share = field(name="x_axis")
    y_axis: Share = field(name="y_axis")
    width: Share
    height: Share
    uid: str = ""
    alpha: Share = 1.0
    render_mode: Literal[0, 1] = field(default=0, name="render_mode")


class Background(Form):
    """One user's picture while no video comes."""

    uid: str
    image_url: ImageUrl = field(name="image_url")
    render_mode: Literal[0, 1] = field(default=0, name="render_mode")


class Layout(Form):
    """How a composite recording is laid out: all of `updateLayout`, part of `transcodingConfig`.

    The reference prints `backgroundConfig` as an Array and, once, as an Object: both are read.
    """

    max_resolution_uid: Uid | None = None
    mixed_video_layout: Literal[0, 1, 2, 3] = 0
    background_color: Colour = "#000000"
    background_image: ImageUrl | None = None
    default_user_background_image: ImageUrl | None = None
    layout_config: Annotated[list[Region], Meta(max_length=17)] = field(default_factory=list)
    background_config: list[Background] | Background = field(default_factory=list)


class TranscodingConfig(Layout):
    """The composite picture; what goes beyond the encoder is accepted and dies later."""

    width: Positive = 360
    height: Positive = 640
    fps: Positive = 15
    bitrate: Positive = 500


class RecordingConfig(Form):
    """What is recorded of a channel. Both spellings of the exclusions are read."""

    channel_type: Literal[0, 1] = 0
    decryption_mode: Annotated[int, Meta(ge=0, le=8)] = 0
    secret: str = ""
    salt: str = ""
    max_idle_time: Annotated[int, Meta(ge=5, le=2_592_000)] = 30
    stream_types: Literal[0, 1, 2] = 2
    video_stream_type: Literal[0, 1] = 0
    subscribe_audio_uids: Subscribed | None = None
    subscribe_video_uids: Subscribed | None = None
    un_subscribe_audio_uids: Subscribed | None = None
    un_subscribe_video_uids: Subscribed | None = None
    unsubscribe_audio_uids: Subscribed | None = None
    unsubscribe_video_uids: Subscribed | None = None
    subscribe_uid_group: Annotated[int, Meta(ge=0, le=5)] | None = None
    stream_mode: Literal["default", "standard", "original"] = "default"
    audio_profile: Literal[0, 1, 2] = 0
    transcoding_config: TranscodingConfig | None = None
    private_params: str = ""


class RecordingFileConfig(Form):
    """Kinds of files."""

    av_file_type: Annotated[list[Literal["hls", "mp4"]], Meta(min_length=1, max_length=2)] = field(
        default_factory=lambda: ["hls"]
    )


class SnapshotConfig(Form):
    """Screenshots."""

    file_type: Annotated[list[Literal["jpg"]], Meta(min_length=1, max_length=1)]
    capture_interval: Annotated[int, Meta(ge=5, le=3600)] = 10


class ExtensionService(Form):
    """One service of a web recording; `serviceParam` is read by its name."""

    service_name: str
    service_param: dict[str, Any]
    error_handle_policy: Literal["error_abort", "error_ignore"] | None = None


class ExtensionServiceConfig(Form):
    """The services of a web recording."""

    extension_services: list[ExtensionService]
    error_handle_policy: Literal["error_abort"] = "error_abort"


class PageParam(Form):
    """`serviceParam` of `web_recorder_service`."""

    url: PageUrl
    audio_profile: Literal[0, 1, 2]
    video_width: Positive
    video_height: Positive
    max_recording_hour: Annotated[int, Meta(ge=1, le=720)]
    video_bitrate: Positive | None = None
    video_fps: Annotated[int, Meta(ge=5, le=60)] = 15
    mobile: bool = False
    max_video_duration: Annotated[int, Meta(ge=30, le=240)] = 120
    onhold: bool = False
    ready_timeout: Annotated[int, Meta(ge=0, le=60)] = 0


class Output(Form):
    """One CDN address."""

    rtmp_url: RtmpUrl


class PushParam(Form):
    """`serviceParam` of `rtmp_publish_service`, and `rtmpPublishConfig` of an update."""

    outputs: Annotated[list[Output], Meta(max_length=1)]


class AppsCollection(Form):
    """Which applications are combined."""

    combination_policy: Literal["default", "postpone_transcoding"] = "default"


class TransConfig(Form):
    """The postponed job."""

    trans_mode: Literal["postponeTranscoding", "audioMix"]


class Container(Form):
    """Its container."""

    format: Literal["mp4", "mp3", "m4a", "aac"] | None = None


class Audio(Form):
    """Its audio; all are Strings."""

    sample_rate: Literal["48000", "32000", "16000"] = "48000"
    bitrate: str = "48000"
    channels: Literal["1", "2"] = "2"


class TranscodeOptions(Form):
    """The postponed job's result."""

    trans_config: TransConfig
    container: Container | None = None
    audio: Audio | None = None


class StartRequest(Form):
    """`clientRequest` of `start`."""

    storage_config: StorageConfig
    token: str = ""
    recording_config: RecordingConfig | None = None
    recording_file_config: RecordingFileConfig | None = None
    snapshot_config: SnapshotConfig | None = None
    extension_service_config: ExtensionServiceConfig | None = None
    apps_collection: AppsCollection | None = None
    transcode_options: TranscodeOptions | None = None
