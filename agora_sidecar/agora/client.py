"""The REST API of one account as methods: a value or an error sorted by what to do.

Usable without the rest of the sidecar (the typed requests are in `agora_sidecar.agora.requests`):

    async with Client(customer_id="…", customer_secret="…") as agora:
        resource_id = await agora.acquire("app id", cname="room", uid="1", client_request={})
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agora_sidecar.agora import calls
from agora_sidecar.agora.budget import BudgetState, Priority
from agora_sidecar.agora.calls import Call
from agora_sidecar.agora.errors import InvalidRequestError
from agora_sidecar.agora.exchange import Answer, Exchange
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.agora.replies import (
    QueryReply,
    StopReply,
    UpdateReply,
    read_query,
    read_stop,
)
from agora_sidecar.agora.requests import as_json, check, spelled
from agora_sidecar.agora.requests.model import Model
from agora_sidecar.process.clock import Clock, SystemClock

if TYPE_CHECKING:
    import httpx

ClientRequest = Model | Mapping[str, Any]
"""A typed request, or the same as plain JSON values; what no model names is sent as it is."""

BASE_URLS = ("https://api.sd-rtn.com", "https://api.agora.io")
"""The vendor's two primary hosts; inside mainland China the first is the nearer one."""


class Client:
    """The REST API of one account. All calls raise `ApiError`.

    `timeout` and `stop_timeout` are whole calls, fail-over and waiting for the budget included,
    in seconds: a synchronous stop answers after the upload, which may take 20. `priority` is whose
    calls these are, where others share the budget by `forward`. What the reference does not allow
    is not sent but raised as `InvalidRequestError`, unless `validate` is false.
    """

    def __init__(
        self,
        *,
        customer_id: str,
        customer_secret: str,
        base_urls: Sequence[str] = BASE_URLS,
        clock: Clock | None = None,
        requests_per_second: float = 8.0,
        timeout: float = 10.0,
        stop_timeout: float = 30.0,
        priority: Priority = Priority.FIRST,
        validate: bool = True,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self._exchange = Exchange(
            base_urls=base_urls,
            customer_id=customer_id,
            customer_secret=customer_secret,
            clock=clock or SystemClock(),
            requests_per_second=requests_per_second,
            transport=transport,
        )
        self._timeout = timeout
        self._stop_timeout = stop_timeout
        self._priority = priority
        self._validate = validate

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._exchange.close()

    def has_answered(self, host: str) -> bool:
        """Whether this host has answered a call of ours with 200 and the vendor's shape."""
        return self._exchange.has_answered(host)

    def budget(self) -> BudgetState:
        """How the account's budget of calls stands."""
        return self._exchange.budget()

    async def acquire(
        self, app_id: str, *, cname: str, uid: str, client_request: ClientRequest
    ) -> str:
        """A resource id, valid for one start within five minutes (two seconds are advised)."""
        body = self._body(calls.ACQUIRE, cname=cname, uid=uid, client_request=client_request)
        return str((await self._ask(calls.acquire(app_id, body))).body["resourceId"])

    async def start(
        self,
        app_id: str,
        *,
        resource_id: str,
        mode: str,
        cname: str,
        uid: str,
        client_request: ClientRequest,
    ) -> str:
        """The sid of a recording that was started."""
        body = self._body(
            calls.START, cname=cname, uid=uid, client_request=client_request, mode=mode
        )
        call = calls.start(app_id, resource_id=resource_id, mode=mode, body=body)
        return str((await self._ask(call)).body["sid"])

    async def query(self, recording: Recording, *, avoid: str = "") -> QueryReply:
        """What the vendor knows of a task; of another host than `avoid` where there is one."""
        answer = await self._ask(calls.query(recording, avoid=avoid))
        return read_query(answer.body, host=answer.host)

    async def update(self, recording: Recording, *, client_request: ClientRequest) -> UpdateReply:
        """Change who is subscribed to, or a page recording; after the previous one's answer."""
        return await self._update(calls.UPDATE, recording, client_request)

    async def update_layout(
        self, recording: Recording, *, client_request: ClientRequest
    ) -> UpdateReply:
        """Replace the whole layout of a composite recording; after the previous one's answer."""
        return await self._update(calls.UPDATE_LAYOUT, recording, client_request)

    async def stop(self, recording: Recording, *, async_stop: bool = True) -> StopReply:
        """Let a recording end; with `async_stop` answered at once, otherwise after the upload."""
        body = self._body_of(calls.STOP, recording, {"async_stop": async_stop})
        call = calls.about(calls.STOP, recording, body, patient=not async_stop)
        answer = await self._ask(call)
        return read_stop(answer.body, host=answer.host)

    async def ncs_ip(self, path: str = "/v1/ncs/ip") -> bytes:
        """The address list's body as it came; /v1 and /v2 are both documented."""
        return (await self._ask(Call(calls.NCS_IP, "GET", path))).raw

    async def address_list(self, path: str, *, avoid: str = "") -> tuple[str, bytes]:
        """The same, with the host that answered; another one than `avoid` where there is one."""
        answer = await self._ask(Call(calls.NCS_IP, "GET", path, avoid=avoid))
        return answer.host, answer.raw

    async def forward(self, call: Call) -> Answer:
        """Carry somebody else's call, who waits for the answer; nothing of it is changed."""
        return await self._ask(call, Priority.FIRST)

    async def _update(
        self, name: str, recording: Recording, client_request: ClientRequest
    ) -> UpdateReply:
        body = self._body_of(name, recording, client_request)
        answer = await self._ask(calls.about(name, recording, body))
        return UpdateReply(answer.host, answer.body)

    def _body_of(
        self, name: str, recording: Recording, client_request: ClientRequest
    ) -> dict[str, Any]:
        return self._body(
            name,
            cname=recording.cname,
            uid=recording.uid,
            client_request=client_request,
            mode=recording.mode,
        )

    def _body(
        self, name: str, *, cname: str, uid: str, client_request: ClientRequest, mode: str = ""
    ) -> dict[str, Any]:
        body = {"cname": cname, "uid": uid, "clientRequest": as_json(client_request)}
        found = check(name, body, mode=mode) if self._validate else ()
        if found:
            raise InvalidRequestError(name, found)
        return dict(spelled(name, body))

    async def _ask(self, call: Call, priority: Priority | None = None) -> Answer:
        long = call.name == calls.STOP and call.patient
        return await self._exchange.ask(
            call,
            timeout=self._stop_timeout if long else self._timeout,
            priority=self._priority if priority is None else priority,
        )
