"""The vendor's endpoints, as far as this emulator goes: composite recordings and the address list.

Source: the Cloud Recording RESTful API reference; error answers in `answers`.
"""

import base64
from collections.abc import Callable

from aiohttp import web

from agora_sidecar.agora.recordings import EXITED
from agora_sidecar.emulator import answers
from agora_sidecar.emulator.addresses import AddressPool, list_body
from agora_sidecar.emulator.bodies import query_answer, start_answer, stop_answer
from agora_sidecar.emulator.faults import Faults, dice
from agora_sidecar.emulator.gate import answer
from agora_sidecar.emulator.journal import Journal
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.recorders import Recorder
from agora_sidecar.emulator.requests import (
    check_acquire,
    read_async_stop,
    read_order,
    read_wishes,
)
from agora_sidecar.emulator.resources import Resources
from agora_sidecar.emulator.studio import Studio
from agora_sidecar.emulator.tasks import GONE, TransitionError

APP = "/v1/apps/{app_id}/cloud_recording"
START = APP + "/resourceid/{resource_id}/mode/{mode}"
TASK = APP + "/resourceid/{resource_id}/sid/{sid}/mode/{mode}"
RESOURCE_ID_BYTES = 189
"""Make 252 characters of URL-safe base64; seen at the vendor: 230 to 330."""
COMPOSITE_ONLY = "this emulator does composite recordings only: mode must be mix"


class Service:
    """Handlers; each answers, or raises the `Refusal` that the gate turns into an answer."""

    def __init__(
        self,
        *,
        app_id: str,
        seed: int,
        pace: Pace,
        pool: AddressPool,
        studio: Studio,
        journal: Journal,
        faults: Callable[[], Faults],
    ) -> None:
        self._app_id = app_id
        self._seed = seed
        self._pace = pace
        self._pool = pool
        self._studio = studio
        self._journal = journal
        self._faults = faults
        self._resources = Resources()
        self._acquired = 0

    def routes(self) -> list[web.RouteDef]:
        """Every path, named as in the journal's `calls`."""
        return [
            web.post(f"{APP}/acquire", self.acquire, name="acquire"),
            web.post(f"{START}/start", self.start, name="start"),
            web.get(f"{TASK}/query", self.query, name="query", allow_head=False),
            web.post(f"{TASK}/stop", self.stop, name="stop"),
            web.post(f"{TASK}/update", self.not_yet, name="update"),
            web.post(f"{TASK}/updateLayout", self.not_yet, name="updateLayout"),
            web.get("/v1/ncs/ip", self.ncs_ip, name="ncs_ip", allow_head=False),
            web.get("/v2/ncs/ip", self.ncs_ip, name="ncs_ip_v2", allow_head=False),
        ]

    async def acquire(self, request: web.Request) -> web.Response:
        """A resource id for one start."""
        self._enter(request, "acquire")
        order = read_order(await request.read())
        check_acquire(order.client_request)
        self._studio.demand_room()
        self._acquired += 1
        roll = dice(self._seed, "resource", self._acquired)
        resource_id = base64.urlsafe_b64encode(roll.randbytes(RESOURCE_ID_BYTES)).decode()
        self._resources.add(resource_id, cname=order.cname, uid=order.uid, now=self._pace.elapsed())
        return answer({"cname": order.cname, "uid": order.uid, "resourceId": resource_id})

    async def start(self, request: web.Request) -> web.Response:
        """A recording begins."""
        self._enter(request, "start")
        _demand_composite(request)
        order = read_order(await request.read())
        wishes = read_wishes(order.client_request)
        resource_id = request.match_info["resource_id"]
        resource = self._resources.find(
            resource_id, cname=order.cname, uid=order.uid, now=self._pace.elapsed()
        )
        facts = self._studio.start(
            resource_id, wishes, cname=order.cname, uid=order.uid, faults=self._faults()
        )
        resource.started = True
        return answer(start_answer(facts))

    async def query(self, request: web.Request) -> web.Response:
        """How a recording is."""
        self._enter(request, "query")
        _demand_composite(request)
        recorder = self._find(request)
        return answer(query_answer(recorder.facts, recorder.task.status))

    async def stop(self, request: web.Request) -> web.Response:
        """A recording ends; unless `async_stop`, the answer waits for the upload."""
        self._enter(request, "stop")
        _demand_composite(request)
        order = read_order(await request.read())
        at_once = read_async_stop(order.client_request)
        recorder = self._find(request)
        if (order.cname, order.uid) != (recorder.facts.cname, recorder.facts.uid):
            raise answers.other_resource()
        try:
            recorder.stop()
        except TransitionError:
            raise answers.leaving() from None
        if not recorder.task.recorded:
            raise answers.no_data()
        if not at_once:
            await recorder.left.wait()
            if recorder.task.status not in {EXITED, GONE}:  # the emulator itself is being stopped
                raise answers.incomplete()
        return answer(stop_answer(recorder.facts, left=not at_once))

    async def not_yet(self, request: web.Request) -> web.Response:
        """Refuse `update` and `updateLayout`."""
        endpoint = request.path.rpartition("/")[2]
        self._enter(request, endpoint)
        _demand_composite(request)
        raise answers.bad_parameter(f"this emulator does not do {endpoint}")

    async def ncs_ip(self, _: web.Request) -> web.Response:
        """Where callbacks come from."""
        self._journal.calls["ncs_ip"] += 1
        content_type, body = list_body(self._pool.current, self._faults().addresses)
        return web.Response(body=body, content_type=content_type)

    def _enter(self, request: web.Request, endpoint: str) -> None:
        self._journal.calls[endpoint] += 1
        if request.match_info["app_id"] != self._app_id:
            raise answers.wrong_app_id()

    def _find(self, request: web.Request) -> Recorder:
        return self._studio.find(
            request.match_info["sid"], resource_id=request.match_info["resource_id"]
        )


def _demand_composite(request: web.Request) -> None:
    if request.match_info["mode"] != "mix":
        raise answers.bad_parameter(COMPOSITE_ONLY)
