"""From an order to the plan of a recording, dooms included (pure).

What is wrong in a way that the vendor notices only later shows in the order itself, so that a death
can be had on purpose: see `doom`.
"""

import msgspec

from agora_sidecar.agora.recordings import INDIVIDUAL, WEB
from agora_sidecar.emulator.forms import StreamSubscribe
from agora_sidecar.emulator.orders import MAX_PIXELS, page, prefix, push
from agora_sidecar.emulator.start_forms import (
    PageParam,
    RecordingConfig,
    StartRequest,
    StorageConfig,
)
from agora_sidecar.emulator.studio.plan import MIXED, Luck, Plan

USERS = ("1001", "1002")
"""Who is in every channel, as far as an individual recording does not name others."""
EVERYBODY = "#allstream#"
TRACKS = {0: ("audio",), 1: ("video",), 2: ("audio", "video")}
MAX_BITRATE = 6500
REGIONS: dict[int, frozenset[int]] = {
    1: frozenset(range(26)) - {17, 23},
    2: frozenset(range(28)),
    3: frozenset(range(20)),
    5: frozenset({0}),
    6: frozenset({0}),
    7: frozenset(range(16)),
    8: frozenset(range(1, 8)),
    11: frozenset({0}),
}
"""Storage vendors and their regions; Docs-Source `cloud-recording/reference/region-vendor.mdx`."""


def make(
    request: StartRequest, *, mode: str, cname: str, uid: str, resource_id: str, sid: str
) -> Plan:
    """What was ordered; fate comes later."""
    config = request.recording_config or RecordingConfig()
    snapshots, kinds = request.snapshot_config, request.recording_file_config
    plan = Plan(
        sid=sid,
        resource_id=resource_id,
        cname=cname,
        uid=uid,
        mode=mode,
        prefix=prefix(request),
        mp4=kinds is not None and "mp4" in kinds.av_file_type,
        files=snapshots is None or kinds is not None,
        merged=config.stream_mode == "standard",
        snapshot_every=snapshots.capture_interval if snapshots is not None else 0.0,
        tracks=TRACKS[2 if mode == WEB else config.stream_types],
        users=_users(config) if mode == INDIVIDUAL else MIXED,
        max_idle=config.max_idle_time,
        transcoding=_transcoding(request),
        storage=(
            request.storage_config.vendor,
            request.storage_config.region,
            request.storage_config.bucket,
        ),
    )
    return _of_page(plan, request) if mode == WEB else plan


def fated(plan: Plan, luck: Luck, *, expires: float) -> Plan:
    """The plan with its fate, and the seconds for which the API knows it."""
    if luck.death == "page_timeout":
        luck = msgspec.structs.replace(luck, dies_at=2 * (plan.ready_timeout or 30.0))
        plan = msgspec.structs.replace(plan, ready_timeout=plan.ready_timeout or 30.0)
    return msgspec.structs.replace(plan, luck=luck, expires=expires)


def doom(request: StartRequest, mode: str) -> str:
    """The death that an order brings with it, or nothing.

    Storage: a vendor or region that does not exist, a bucket or key that begins with `wrong`.
    Token: begins with `expired` or `wrong`. Composite picture: beyond 1920 x 1080 or 6500 Kbps.
    Page: a host under `.invalid`; `webgl` in the URL; `never-ready` in it with a `readyTimeout`.
    """
    if _wrong_storage(request.storage_config):
        return "storage"
    if mode == WEB:
        return _doomed_page(page(request))
    for beginning, death in (("expired", "token_expired"), ("wrong", "token_invalid")):
        if request.token.startswith(beginning):
            return death
    picture = request.recording_config and request.recording_config.transcoding_config
    if picture and (picture.width * picture.height > MAX_PIXELS or picture.bitrate > MAX_BITRATE):
        return "transcoding"
    return ""


def resubscribed(users: tuple[str, ...], wish: StreamSubscribe) -> tuple[str, ...]:
    """The users of an individual recording after an update."""
    audio, video = wish.audio_uid_list, wish.video_uid_list
    wanted = [
        *((audio.subscribe_audio_uids or ()) if audio else ()),
        *((video.subscribe_video_uids or ()) if video else ()),
    ]
    if wanted:
        return _known(wanted)
    unwanted: set[str] = set()
    for spellings in (
        (audio.un_subscribe_audio_uids, audio.unsubscribe_audio_uids) if audio else (),
        (video.un_subscribe_video_uids, video.unsubscribe_video_uids) if video else (),
    ):
        unwanted.update(uid for found in spellings for uid in found or ())
    return tuple(uid for uid in users if uid not in unwanted)


def _users(config: RecordingConfig) -> tuple[str, ...]:
    wanted = [*(config.subscribe_audio_uids or ()), *(config.subscribe_video_uids or ())]
    if wanted:
        return _known(wanted)
    unwanted = {
        uid
        for found in (
            config.un_subscribe_audio_uids,
            config.un_subscribe_video_uids,
            config.unsubscribe_audio_uids,
            config.unsubscribe_video_uids,
        )
        for uid in found or ()
    }
    return tuple(uid for uid in USERS if uid not in unwanted)


def _known(wanted: list[str]) -> tuple[str, ...]:
    return USERS if EVERYBODY in wanted else tuple(dict.fromkeys(wanted))


def _transcoding(request: StartRequest) -> str:
    apps, options = request.apps_collection, request.transcode_options
    if apps is None or apps.combination_policy != "postpone_transcoding":
        return ""
    if options is None:
        return "mp4"
    mixing = options.trans_config.trans_mode == "audioMix"
    chosen = options.container.format if options.container is not None else None
    return chosen or ("mp3" if mixing else "mp4")


def _of_page(plan: Plan, request: StartRequest) -> Plan:
    service, pushed = page(request), push(request)
    if service is None:  # check_start has refused it
        return plan
    return msgspec.structs.replace(
        plan,
        limit=service.max_recording_hour * 3600.0,
        on_hold=service.onhold,
        ready_timeout=float(service.ready_timeout),
        outputs=tuple(output.rtmp_url for output in pushed.outputs) if pushed else (),
    )


def _wrong_storage(storage: StorageConfig) -> bool:
    given = (storage.bucket, storage.access_key, storage.secret_key)
    known = storage.region in REGIONS.get(storage.vendor, ())
    return not known or any(text.startswith("wrong") for text in given)


def _doomed_page(service: PageParam | None) -> str:
    if service is None:
        return ""
    host = service.url.partition("://")[2].partition("/")[0].partition(":")[0]
    if host.rpartition(".")[2] == "invalid":
        return "page_unreachable"
    if "webgl" in service.url:
        return "capability"
    return "page_timeout" if "never-ready" in service.url and service.ready_timeout else ""
