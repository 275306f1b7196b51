"""How a composite picture is laid out: `transcodingConfig` and the body of `updateLayout`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from agora_sidecar.agora.requests.model import Model, Together
from agora_sidecar.agora.requests.rules import (
    UID,
    WEB_ADDRESS,
    Between,
    Entries,
    OneOf,
    matching,
)

FLOATING, ADAPTIVE, VERTICAL, CUSTOM = 0, 1, 2, 3
MAX_WINDOWS = 17
MAX_PIXELS = 1920 * 1080
DEFAULT_WIDTH, DEFAULT_HEIGHT = 360, 640
Part = Between(0, 1)
RenderMode = Annotated[int | None, OneOf((0, 1))]


class LayoutConfig(Model, frozen=True, kw_only=True, rename=str):
    """One user's window; positions and sizes are parts of the canvas."""

    uid: Annotated[str | None, UID] = None
    x_axis: Annotated[float, Part]
    y_axis: Annotated[float, Part]
    width: Annotated[float, Part]
    height: Annotated[float, Part]
    alpha: Annotated[float | None, Part] = None
    render_mode: RenderMode = None


class BackgroundConfig(Model, frozen=True, kw_only=True, rename=str):
    """What is shown of one user who sends no video."""

    uid: Annotated[str, UID]
    image_url: Annotated[str, WEB_ADDRESS]
    render_mode: RenderMode = None


LAYOUT_RULES = (
    Together(
        "vertical alone",
        "maxResolutionUid",
        "is only for mixedVideoLayout 2",
        lambda o: "maxResolutionUid" in o and o.get("mixedVideoLayout", FLOATING) != VERTICAL,
    ),
    Together(
        "custom alone",
        "layoutConfig",
        "is only for mixedVideoLayout 3",
        lambda o: "layoutConfig" in o and o.get("mixedVideoLayout", FLOATING) != CUSTOM,
    ),
    Together(
        "custom needs",
        "layoutConfig",
        "is required with mixedVideoLayout 3",
        lambda o: o.get("mixedVideoLayout") == CUSTOM and not o.get("layoutConfig"),
    ),
)


class Layout(Model, frozen=True, kw_only=True):
    """What `updateLayout` replaces as a whole: what is left out falls back to its default."""

    max_resolution_uid: Annotated[str | None, UID] = None
    mixed_video_layout: Annotated[int | None, OneOf((FLOATING, ADAPTIVE, VERTICAL, CUSTOM))] = None
    background_color: Annotated[
        str | None, matching("#[0-9A-Fa-f]{6}", "must be # and 6 hexadecimal digits")
    ] = None
    background_image: Annotated[str | None, WEB_ADDRESS] = None
    default_user_background_image: Annotated[str | None, WEB_ADDRESS] = None
    layout_config: Annotated[Sequence[LayoutConfig] | None, Entries(MAX_WINDOWS)] = None
    background_config: Sequence[BackgroundConfig] | None = None

    TOGETHER: ClassVar[tuple[Together, ...]] = LAYOUT_RULES


def too_many_pixels(width: Any, height: Any) -> bool:
    """Whether a picture is larger than the vendor makes."""
    if type(width) is not int or type(height) is not int:
        return False
    return width * height > MAX_PIXELS


def _too_large(config: Mapping[str, Any]) -> bool:
    return too_many_pixels(config.get("width", DEFAULT_WIDTH), config.get("height", DEFAULT_HEIGHT))


class TranscodingConfig(Layout, frozen=True, kw_only=True):
    """The video that a composite recording makes, and its layout."""

    width: Annotated[int | None, Between(1, 1920)] = None
    height: Annotated[int | None, Between(1, 1920)] = None
    fps: Annotated[int | None, Between(1)] = None
    bitrate: Annotated[int | None, Between(1, 6500)] = None

    TOGETHER: ClassVar[tuple[Together, ...]] = (
        Together("pixels", "width", "times height must be at most 1920 x 1080", _too_large),
        *LAYOUT_RULES,
    )
