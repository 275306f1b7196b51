"""The business server of the demo: starts recordings, makes them known, stops them."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from agora_sidecar.agora.client import Client
from agora_sidecar.agora.errors import ApiError
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.emulator.emulator import Emulator

SILENCED = "room-silent"
"""The channel whose last events never arrive."""
EVERY = 0.8
"""Seconds between two starts."""
LASTS = (3.0, 7.0)
"""Seconds that a recording lasts, at least and at most."""
STORAGE = dict.fromkeys(("vendor", "region"), 1) | dict.fromkeys(
    ("bucket", "accessKey", "secretKey"), "demo"
)
CHANNEL = {"channelType": 1, "maxIdleTime": 300}
PAGE = {
    "url": "https://example.com/stage",
    "audioProfile": 1,
    "videoWidth": 1280,
    "videoHeight": 720,
    "maxRecordingHour": 3,
}
REQUESTS: dict[str, dict[str, Any]] = {
    "mix": {"recordingConfig": CHANNEL, "recordingFileConfig": {"avFileType": ["hls", "mp4"]}},
    "individual": {
        "recordingConfig": {**CHANNEL, "subscribeUidGroup": 0},
        "recordingFileConfig": {"avFileType": ["hls"]},
        "snapshotConfig": {"captureInterval": 20, "fileType": ["jpg"]},
    },
    "web": {
        "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
        "extensionServiceConfig": {
            "extensionServices": [{"serviceName": "web_recorder_service", "serviceParam": PAGE}]
        },
    },
}
SCENES = {"web": 1}
MODES = ("mix", "mix", "individual", "web")
"""The modes of the recordings, one after another; the second is the silenced one."""


class Business:
    """Runs recordings until told to finish; `started` holds every sid and its channel."""

    def __init__(
        self,
        *,
        client: Client,
        emulator: Emulator,
        gateway_url: str,
        seed: int,
        tell: Callable[[str], None],
    ) -> None:
        self._client = client
        self._emulator = emulator
        self._sidecar = httpx.AsyncClient(base_url=gateway_url)
        self._random = random.Random(seed)  # noqa: S311 - a course of events, not a secret
        self._tell = tell
        self._number = 0
        self.started: dict[str, str] = {}

    async def run(self, seconds: float) -> None:
        """Start recordings for so long, and return when the last of them was stopped."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with asyncio.TaskGroup() as group:
            while (left := end - loop.time()) > 0:
                group.create_task(self._one(at_most=left))
                await asyncio.sleep(min(EVERY, left))

    async def close(self) -> None:
        """Close the connection to the sidecar."""
        await self._sidecar.aclose()

    async def _one(self, *, at_most: float) -> None:
        self._number += 1
        number = self._number
        lasts = min(self._random.uniform(*LASTS), max(at_most, 1.0))
        recording = await self._start(number)
        if recording is None:
            return
        await asyncio.sleep(lasts)
        await self._stop(recording, owed=number % 3 == 0)

    async def _start(self, number: int) -> Recording | None:
        cname, uid = f"room-{number}", str(900_000 + number)
        if number == 2:
            cname = SILENCED
            mute = {**self._emulator.faults.mute, SILENCED: "end"}
            self._emulator.faults = replace(self._emulator.faults, mute=mute)
        app_id, mode = self._emulator.options.app_id, MODES[(number - 1) % len(MODES)]
        try:
            resource_id = await self._client.acquire(
                app_id,
                cname=cname,
                uid=uid,
                client_request={"scene": SCENES.get(mode, 0)},
            )
            sid = await self._client.start(
                app_id,
                resource_id=resource_id,
                mode=mode,
                cname=cname,
                uid=uid,
                client_request={"storageConfig": STORAGE, **REQUESTS[mode]},
            )
        except ApiError as error:
            self._tell(f"business server: {cname} was not started: {error}")
            return None
        self.started[sid] = cname
        recording = Recording(app_id, resource_id, sid, mode, cname, uid)
        await self._make_known(recording)
        return recording

    async def _make_known(self, recording: Recording) -> None:
        answer = await self._sidecar.put(
            f"/recordings/{recording.sid}",
            json={
                "resourceId": recording.resource_id,
                "mode": recording.mode,
                "cname": recording.cname,
                "uid": recording.uid,
            },
        )
        answer.raise_for_status()

    async def _stop(self, recording: Recording, *, owed: bool) -> None:
        if owed:  # leave it to the sidecar: from now on a stop is owed
            await self._sidecar.delete(f"/recordings/{recording.sid}")
            return
        try:
            await self._client.stop(recording, async_stop=True)
        except ApiError as error:
            self._tell(f"business server: stop of {recording.cname}: {error}")
