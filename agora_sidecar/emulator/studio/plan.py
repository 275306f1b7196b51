"""What a start asked for, and what fate has in store for the recording (pure)."""

import math

import msgspec

from agora_sidecar.agora.recordings import MIX

MIXED = ("0",)
"""The stream uid of what is recorded of everybody together."""

ENDINGS = (
    ("leave", "uploader_started", "upload", "session_exit"),
    ("leave", "session_exit", "uploader_started", "upload"),
    ("leave", "uploader_started", "session_exit", "upload"),
    ("uploader_started", "leave", "upload", "session_exit"),
)
"""Orders in which the last events happen: `leave` is 41 (web: 71), `upload` is 31 or 32."""


class Luck(msgspec.Struct, frozen=True, kw_only=True):
    """What will go wrong by itself; seconds count from the start.

    `death` is one of `deaths.DEATHS`, or empty. The worker is lost at each of `faults_at`; it takes
    `adrift` seconds until another one goes on, under the next of `new_uids`.
    """

    backup: bool = False
    upload_takes: float = 3.0
    ending: tuple[str, ...] = ENDINGS[0]
    death: str = ""
    dies_at: float = math.inf
    faults_at: tuple[float, ...] = ()
    adrift: float = 45.0
    new_uids: tuple[int, ...] = (4_000_000_001, 4_000_000_002, 4_000_000_003)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One recording as it was ordered; durations in seconds.

    `tracks` are the kinds of media subscribed to, `users` the stream uids recorded. `files` is
    False where only screenshots are taken (`snapshot_every`). `limit` is web mode's longest
    duration, `expires` how long the API knows the recording. `transcoding` is the postponed job's
    container, or empty.
    """

    sid: str
    resource_id: str
    cname: str
    uid: str
    mode: str = MIX
    prefix: str = ""
    mp4: bool = False
    files: bool = True
    merged: bool = False
    snapshot_every: float = 0.0
    tracks: tuple[str, ...] = ("audio", "video")
    users: tuple[str, ...] = MIXED
    max_idle: float = 30.0
    limit: float = math.inf
    expires: float = 72 * 3600.0
    on_hold: bool = False
    ready_timeout: float = 0.0
    outputs: tuple[str, ...] = ()
    transcoding: str = ""
    storage: tuple[int, int, str] = (1, 0, "bucket")
    luck: Luck = Luck()
