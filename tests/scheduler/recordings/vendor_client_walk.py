"""The vendor's own Python client walks through one recording: `python vendor_client_walk.py URL MODE`.

Run as a process of its own: the client's threads never end. Its hosts and `https://` are fixed in
it, so what builds the URL is replaced, and what looks up their names; nothing else.
"""

import json
import os
import socket
import sys
import time
import traceback
from typing import Any

from agora_rest_client.core import client as core
from agora_rest_client.core import domain
from agora_rest_client.services.cloud_recording.v1 import api_start, api_update
from agora_rest_client.services.cloud_recording.v1.individual_recording import (
    api_start as individual_start,
)
from agora_rest_client.services.cloud_recording.v1.individual_recording.individual_recording_client import (
    IndividualRecordingClient,
)
from agora_rest_client.services.cloud_recording.v1.mix_recording.mix_recording_client import (
    MixRecordingClient,
)
from agora_rest_client.services.cloud_recording.v1.web_recording.web_recording_client import (
    WebRecordingClient,
)

KINDS: dict[str, Any] = {
    "mix": MixRecordingClient,
    "individual": IndividualRecordingClient,
    "web": WebRecordingClient,
}
IN_PROGRESS = 5
CNAME, UID = "room-1", "900001"
STORAGE = api_start.StorageConfig(
    vendor=1, region=0, bucket="b", accessKey="k", secretKey="s", fileNamePrefix=["a", "b"]
)


def main(url: str, mode: str) -> None:
    """Print the answers as one JSON object."""
    core.Client.get_api_url = lambda _, __, path, region=None: (
        f"{url}/{region}{path}" if region else f"{url}{path}"
    )
    socket.gethostbyname = lambda _: "127.0.0.1"
    client = (
        KINDS[mode]
        .new_builder()
        .with_app_id("emulator-app")
        .with_credential_basic_auth("whoever", "whatever")
        .with_domain(domain.Domain(domain.EndpointRegion.EU.value, domain.ServiceRegion.EU.value))
        .build()
    )
    told = walk(client, mode)
    sys.stdout.write(json.dumps(told, default=vars))


def walk(client: Any, mode: str) -> dict[str, Any]:
    resource_id = client.acquire(CNAME, UID, resource_expired_hour=24).resourceId
    sid = start(client, mode, resource_id).sid
    names = (resource_id, sid, CNAME, UID)
    told = {"sid": sid}
    for _ in range(100):
        found = client.query(resource_id, sid)
        told["query"] = found.sid
        if found.serverResponse["status"] == IN_PROGRESS:
            break
        time.sleep(0.05)
    told["update"] = update(client, mode, names).sid
    if mode == "mix":
        told["updateLayout"] = client.update_layout(
            *names, mixed_video_layout=1, background_color="#FF0000"
        ).sid
    told["stop"] = client.stop(*names, async_stop=True).sid
    return told


def start(client: Any, mode: str, resource_id: str) -> Any:
    if mode == "web":
        param = api_start.ServiceParam(
            url="https://example.com/",
            audioProfile=0,
            videoWidth=1280,
            videoHeight=720,
            maxRecordingHour=1,
        )
        service = api_start.ExtensionServices(
            serviceName="web_recorder_service", errorHandlePolicy="error_abort", serviceParam=param
        )
        extensions = api_start.ExtensionServiceConfig(
            errorHandlePolicy="error_abort", extensionServices=[service]
        )
        return client.start(resource_id, CNAME, UID, STORAGE, extensions)
    config = api_start.RecordingConfig(channelType=1, maxIdleTime=300, streamTypes=2)
    if mode == "mix":
        config.transcodingConfig = api_start.TranscodingConfig(
            width=640, height=360, fps=15, bitrate=500, mixedVideoLayout=0
        )
        return client.start(resource_id, CNAME, UID, "token", STORAGE, config)
    config.subscribeUidGroup = 0
    shots = individual_start.SnapshotConfig(captureInterval=5, fileType=["jpg"])
    return client.start(resource_id, CNAME, UID, "token", STORAGE, config, snapshot_config=shots)


def update(client: Any, mode: str, names: tuple[str, ...]) -> Any:
    if mode == "web":
        return client.update(
            *names, web_recording_config=api_update.WebRecordingConfig(onhold=True)
        )
    audio = api_update.AudioUidList(subscribeAudioUids=["#allstream#"])
    video = api_update.VideoUidList(unsubscribeVideoUids=["5"])
    subscribe = api_update.StreamSubscribe(audioUidList=audio, videoUidList=video)
    return client.update(*names, stream_subscribe=subscribe)


if __name__ == "__main__":
    code = 1
    try:
        main(*sys.argv[1:])
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
