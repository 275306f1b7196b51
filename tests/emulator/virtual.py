"""The vendor on a virtual clock: no HTTP, no event loop, hours in milliseconds."""

import math
from typing import Any

import msgspec

from agora_sidecar.emulator.account import Account, Path
from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.studio.message import Message
from agora_sidecar.emulator.studio.recorder import Recorder
from agora_sidecar.emulator.studio.studio import Studio
from agora_sidecar.emulator.studio.truth import Truth

EPOCH_MS = 1_700_000_000_000
STORAGE = {"vendor": 1, "region": 0, "bucket": "b", "accessKey": "k", "secretKey": "s"}
SCENES = {"web": 1}
PAGE = {
    "serviceName": "web_recorder_service",
    "serviceParam": {
        "url": "https://example.com/page",
        "audioProfile": 0,
        "videoWidth": 1280,
        "videoHeight": 720,
        "maxRecordingHour": 3,
    },
}
PUSH = {
    "serviceName": "rtmp_publish_service",
    "serviceParam": {"outputs": [{"rtmpUrl": "rtmp://cdn.example/app/key"}]},
}


def page(*more: dict[str, Any], **param: Any) -> dict[str, Any]:
    """`clientRequest` of a web recording, its page changed by `param`."""
    service = {**PAGE, "serviceParam": {**PAGE["serviceParam"], **param}}  # type: ignore[dict-item]
    return {"extensionServiceConfig": {"extensionServices": [service, *more]}}


class Vendor:
    """One account; `now` moves only by `run`. Everything told so far is in `told`."""

    def __init__(
        self, *, seed: int = 1, faults: Faults | None = None, by_module: bool = False
    ) -> None:
        self.now = 0.0
        self.faults = faults or Faults()
        self.told: list[Message] = []
        self.truths: dict[str, Truth] = {}
        self.studio = Studio(
            stamp=lambda at: EPOCH_MS + int(at * 1000),
            enter=lambda truth: self.truths.update({truth.sid: truth}),
            by_module=by_module,
        )
        self.account = Account(
            app_id="app", seed=seed, studio=self.studio, faults=lambda: self.faults
        )

    def run(self, seconds: float = math.inf) -> list[Message]:
        """Let time pass, or everything happen that happens by itself; what was told meanwhile."""
        end, before = self.now + seconds, len(self.told)
        while (due := self.studio.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.told += self.studio.advance(self.now)
        if end < math.inf:
            self.now = end
            self.told += self.studio.advance(end)
        return self.told[before:]

    def acquire(self, *, cname: str = "room1", uid: str = "900001", **request: Any) -> str:
        answer = self.account.acquire(Path("app"), body(cname, uid, request), self.now)
        return str(answer["resourceId"])

    def start(
        self,
        resource_id: str,
        *,
        mode: str = "mix",
        cname: str = "room1",
        uid: str = "900001",
        **request: Any,
    ) -> "Running":
        path = Path("app", resource_id, mode=mode)
        order = body(cname, uid, {"storageConfig": STORAGE, **request})
        answer = self.account.start(path, order, self.now)
        return Running(self, Path("app", resource_id, answer["sid"], mode), cname, uid)

    def record(self, *, mode: str = "mix", scene: int | None = None, **given: Any) -> "Running":
        """Acquire and start."""
        names = {name: given[name] for name in ("cname", "uid") if name in given}
        chosen = SCENES.get(mode, 0) if scene is None else scene
        hours = given.pop("hours", 72)
        resource_id = self.acquire(scene=chosen, resourceExpiredHour=hours, **names)
        return self.start(resource_id, mode=mode, **given)


class Running:
    """One recording of a `Vendor`."""

    def __init__(self, vendor: Vendor, path: Path, cname: str, uid: str) -> None:
        self.vendor = vendor
        self.path = path
        self.cname = cname
        self.uid = uid

    @property
    def recorder(self) -> Recorder:
        found = self.vendor.studio.find(self.path.sid, self.vendor.now)
        assert found is not None
        return found

    @property
    def truth(self) -> Truth:
        return self.vendor.truths[self.path.sid]

    @property
    def events(self) -> list[int]:
        return list(self.truth.events)

    @property
    def told(self) -> list[Message]:
        return [message for message in self.vendor.told if message.sid == self.path.sid]

    def details(self, event_type: int) -> list[dict[str, Any]]:
        """Of every event of a type, without `msgName`."""
        found = [m.payload["details"] for m in self.told if m.event_type == event_type]
        return [{k: v for k, v in one.items() if k != "msgName"} for one in found]

    def query(self) -> dict[str, Any]:
        answer = self.vendor.account.query(self.path, self.vendor.now)
        return dict(answer["serverResponse"])

    def stop(self, **request: Any) -> tuple[Recorder, bool]:
        order = body(self.cname, self.uid, request)
        return self.vendor.account.stop(self.path, order, self.vendor.now)

    def stopped(self) -> dict[str, Any]:
        """`serverResponse` of a stop that waits until the recording has left."""
        recorder, _ = self.stop()
        self.vendor.run(60.0)
        return dict(self.vendor.account.stopped(recorder)["serverResponse"])

    def update(self, **request: Any) -> dict[str, Any]:
        order = body(self.cname, self.uid, request)
        return self.vendor.account.update(self.path, order, self.vendor.now)

    def update_layout(self, **request: Any) -> dict[str, Any]:
        order = body(self.cname, self.uid, request)
        return self.vendor.account.update_layout(self.path, order, self.vendor.now)

    def silence(self) -> None:
        self.vendor.studio.publish(self.cname, present=False, now=self.vendor.now)


def body(cname: str, uid: str, request: Any) -> bytes:
    return msgspec.json.encode({"cname": cname, "uid": uid, "clientRequest": request})


def code(refusal: Refusal) -> tuple[int, int]:
    """HTTP status and code."""
    return refusal.status, refusal.body["code"]
