"""The vendor's API without HTTP: what each endpoint answers to what is asked, and when.

Pure: for `service`, which speaks HTTP, and for whoever simulates thousands of recordings on a clock
of their own. Source: the Cloud Recording RESTful API reference; refusals in `answers`.
"""

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from agora_sidecar.agora.recordings import INDIVIDUAL, MIX, MODES
from agora_sidecar.emulator import answers, plans
from agora_sidecar.emulator.fates import luck
from agora_sidecar.emulator.faults import Faults, dice
from agora_sidecar.emulator.forms import AcquireBody, LayoutBody, StartBody, StopBody, UpdateBody
from agora_sidecar.emulator.orders import Body, check_acquire, check_start, check_update, read
from agora_sidecar.emulator.resources import LIFETIME, Resource, Resources, demand_fresh, digest
from agora_sidecar.emulator.studio import page, reports
from agora_sidecar.emulator.studio import task as tasks
from agora_sidecar.emulator.studio.catalogue import Told, tell
from agora_sidecar.emulator.studio.recorder import Recorder
from agora_sidecar.emulator.studio.studio import Studio

RESOURCE_ID_BYTES = 189
"""Make 252 characters of URL-safe base64; seen at the vendor: 230 to 330."""


class Path(NamedTuple):
    """What a path names; empty where it does not."""

    app_id: str
    resource_id: str = ""
    sid: str = ""
    mode: str = ""


class Account:
    """One account with one app id. Every method answers, or raises a `Refusal`.

    `now` is the vendor's seconds, the same axis as the studio's.
    """

    def __init__(
        self, *, app_id: str, seed: int, studio: Studio, faults: Callable[[], Faults]
    ) -> None:
        self._app_id = app_id
        self._seed = seed
        self._studio = studio
        self._faults = faults
        self._resources = Resources()
        self._acquired = 0
        self._started = 0
        self._stopped = 0

    def acquire(self, path: Path, body: bytes, now: float) -> dict[str, Any]:
        """A resource id for one start."""
        self._demand_app(path)
        order = read(body, AcquireBody)
        check_acquire(order)
        if self._studio.full:
            raise answers.overloaded()
        wish = order.client_request
        self._acquired += 1
        roll = dice(self._seed, "resource", self._acquired)
        resource_id = base64.urlsafe_b64encode(roll.randbytes(RESOURCE_ID_BYTES)).decode()
        resource = Resource(
            cname=order.cname,
            uid=order.uid,
            expires=now + LIFETIME,
            scene=wish.scene,
            hours=wish.resource_expired_hour,
            digest=b"" if wish.start_parameter is None else digest(wish.start_parameter),
        )
        self._resources.add(resource_id, resource)
        return {"cname": order.cname, "uid": order.uid, "resourceId": resource_id}

    def start(self, path: Path, body: bytes, now: float) -> dict[str, Any]:
        """A recording begins."""
        self._demand_app(path)
        _demand_mode(path)
        order = read(body, StartBody)
        cname, uid, request = order.cname, order.uid, order.client_request
        resource = self._resources.find(path.resource_id, cname=cname, uid=uid)
        if resource.sid:
            self._complain(resource.sid, now)
            raise answers.already_started()
        demand_fresh(resource, now)
        check_start(request, mode=path.mode, scene=resource.scene)
        if resource.digest and resource.digest != digest(_client_request(body)):
            raise answers.other_start_parameter()
        if self._studio.full:
            raise answers.overloaded()
        if self._studio.occupied(cname, uid, now):
            raise answers.conflict()
        self._started += 1
        roll = dice(self._seed, "recording", self._started)
        sid = f"{roll.getrandbits(128):032x}"
        plan = plans.make(
            request, mode=path.mode, cname=cname, uid=uid, resource_id=path.resource_id, sid=sid
        )
        fate = luck(self._faults(), roll, mode=path.mode, death=plans.doom(request, path.mode))
        self._studio.start(plans.fated(plan, fate, expires=resource.hours * 3600.0), now)
        resource.sid = sid
        return reports.frame(plan)

    def query(self, path: Path, now: float) -> dict[str, Any]:
        """How a recording is."""
        recorder = self._find(path, now)
        return reports.queried(recorder.plan, recorder.task)

    def update(self, path: Path, body: bytes, now: float) -> dict[str, Any]:
        """Other subscriptions, a pause, another CDN address; each as far as the mode has it."""
        self._demand_app(path)
        _demand_mode(path)
        order = read(body, UpdateBody)
        recorder = self._find_running(path, order, now)
        plan, wish = recorder.plan, order.client_request
        check_update(wish, mode=plan.mode, tracks=plan.tracks, pushes=bool(plan.outputs))
        task, told = recorder.task, list[Told]()
        if wish.stream_subscribe is not None:
            recorder.wishes["streamSubscribe"] = msgspec.to_builtins(wish.stream_subscribe)
            if plan.mode == INDIVIDUAL:
                users = plans.resubscribed(plan.users, wish.stream_subscribe)
                task = tasks.subscribe(task, users, now)
        if wish.rtmp_publish_config is not None:
            urls = tuple(output.rtmp_url for output in wish.rtmp_publish_config.outputs)
            task = page.push(task, urls, now)
        if wish.web_recording_config is not None:
            task = page.hold(task, on_hold=wish.web_recording_config.onhold, now=now)
        if task.outputs != recorder.task.outputs:
            told = page.push_states(task)
        self._studio.act(recorder, task, now, told)
        return reports.frame(plan)

    def update_layout(self, path: Path, body: bytes, now: float) -> dict[str, Any]:
        """Another layout in place of the whole old one."""
        self._demand_app(path)
        if path.mode != MIX:
            raise answers.bad_parameter("updateLayout: mode must be mix")
        order = read(body, LayoutBody)
        recorder = self._find_running(path, order, now)
        recorder.wishes["layout"] = msgspec.to_builtins(order.client_request)
        return reports.frame(recorder.plan)

    def stop(self, path: Path, body: bytes, now: float) -> tuple[Recorder, bool]:
        """A recording begins to end; and whether the answer, `stopped`, waits until it has left."""
        self._demand_app(path)
        _demand_mode(path)
        order = read(body, StopBody)
        recorder = self._find(path, now)
        _demand_same(recorder, order)
        try:
            task = tasks.stop(recorder.task, now)
        except tasks.TransitionError:
            raise answers.leaving() from None
        self._studio.act(recorder, task, now)
        if not task.recorded:
            raise answers.no_data()
        return recorder, not order.client_request.async_stop

    def stopped(self, recorder: Recorder) -> dict[str, Any]:
        """The answer to a stop, as the recording is now."""
        self._stopped += 1
        misspelt = dice(self._seed, "stop", self._stopped).random() < self._faults().playload
        spelling = "playload" if misspelt else "payload"
        return reports.stopped(recorder.plan, recorder.task, payload=spelling)

    def _find(self, path: Path, now: float) -> Recorder:
        self._demand_app(path)
        _demand_mode(path)
        recorder = self._studio.find(path.sid, now)
        if recorder is None or not recorder.found(now):
            raise answers.no_worker()
        if (recorder.plan.resource_id, recorder.plan.mode) != (path.resource_id, path.mode):
            raise answers.no_worker()
        return recorder

    def _find_running(self, path: Path, order: Body, now: float) -> Recorder:
        recorder = self._find(path, now)
        _demand_same(recorder, order)
        if recorder.task.status not in tasks.RUNNING:
            raise answers.no_worker()
        return recorder

    def _complain(self, sid: str, now: float) -> None:
        recorder = self._studio.find(sid, now)
        if recorder is None or not recorder.found(now):
            return
        plan, mode = recorder.plan, 0 if recorder.plan.mode == INDIVIDUAL else 1
        told = tell(
            "cloud_recording_status_update",
            status=recorder.task.status,
            recordingMode=mode,
            fileList=reports.index_name(plan, recorder.task),
        )
        self._studio.act(recorder, recorder.task, now, [told])

    def _demand_app(self, path: Path) -> None:
        if path.app_id != self._app_id:
            raise answers.wrong_app_id()


def _demand_mode(path: Path) -> None:
    if path.mode not in MODES:
        raise answers.bad_parameter("mode must be individual, mix or web")


def _demand_same(recorder: Recorder, order: Body) -> None:
    if (order.cname, order.uid) != (recorder.plan.cname, recorder.plan.uid):
        raise answers.other_resource()


def _client_request(body: bytes) -> Any:
    return msgspec.json.decode(body)["clientRequest"]
