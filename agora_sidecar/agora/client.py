"""httpx in, httpx out: Basic auth, one budget, deadlines, host fail-over. The door to httpx.

A host that is slow, gone, lying (HTML, an odd route) or answers 5xx is left for the next one within
the call's deadline, where that is safe; the one that answered is asked first from then on, until
`hosts.HOME_AFTER`. Starting something is only tried elsewhere when the connection was never made:
the vendor may have received the rest.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import structlog

from agora_sidecar.agora.budget import Budget
from agora_sidecar.agora.errors import (
    ApiError,
    RefusedError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.hosts import Hosts, host_name
from agora_sidecar.agora.paths import cloud_recording_path, task_path
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.agora.replies import (
    QueryReply,
    StopReply,
    check_shape,
    decipher,
    read_query,
    read_stop,
)
from agora_sidecar.process.clock import Clock

log = structlog.get_logger()

MAX_ANSWER = 1024 * 1024
"""Bytes; the largest documented answers are tens of KiB."""
SLOW_DOWN = 1.0
"""Seconds without any call after the vendor said there were too many: it counts by the second."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
"""Failures of which it is certain that the host received nothing."""
NO_PROXY: Mapping[str, None] = {
    f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")
}
"""A proxy of the environment is for the vendor's hosts, not for an emulator on this machine."""


@dataclass(frozen=True, slots=True)
class _Request:
    """`repeatable`: even if it may have been received.

    `patient`: a host that was reached may use all the time there is, as asking another one after
    that is useless (a synchronous stop) or forbidden (acquire, start).
    """

    call: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    repeatable: bool = True
    patient: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    host: str
    body: dict[str, Any]
    raw: bytes


class Client:
    """The REST API of one account. All calls raise `ApiError`.

    `timeout` and `stop_timeout` are whole calls, fail-over and waiting for the budget included,
    in seconds: a synchronous stop answers after the upload, which may take 20.
    """

    def __init__(
        self,
        *,
        base_urls: Sequence[str],
        customer_id: str,
        customer_secret: str,
        clock: Clock,
        requests_per_second: float = 8.0,
        timeout: float = 10.0,
        stop_timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = Hosts(base_urls)
        self._clock = clock
        self._budget = Budget(requests_per_second, clock=clock)
        self._timeout = timeout
        self._stop_timeout = stop_timeout
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(customer_id, customer_secret),
            # not compressed: MAX_ANSWER is then also what can arrive
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            transport=transport,
            mounts=NO_PROXY,
            timeout=timeout,
            follow_redirects=False,
        )
        self._answered: set[str] = set()

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
        await self._http.aclose()

    def has_answered(self, host: str) -> bool:
        """Whether this host has answered a call of ours with 200 and the vendor's shape."""
        return host in self._answered

    async def acquire(
        self, app_id: str, *, cname: str, uid: str, client_request: Mapping[str, Any]
    ) -> str:
        """A resource id, valid for one start within five minutes (two seconds are advised)."""
        path = cloud_recording_path("acquire", app_id, "acquire")
        body = {"cname": cname, "uid": uid, "clientRequest": client_request}
        return await self._begin("acquire", path, body, name="resourceId")

    async def start(
        self,
        app_id: str,
        *,
        resource_id: str,
        mode: str,
        cname: str,
        uid: str,
        client_request: Mapping[str, Any],
    ) -> str:
        """The sid of a recording that was started."""
        place = ("resourceid", resource_id, "mode", mode, "start")
        path = cloud_recording_path("start", app_id, *place)
        body = {"cname": cname, "uid": uid, "clientRequest": client_request}
        return await self._begin("start", path, body, name="sid")

    async def query(self, recording: Recording) -> QueryReply:
        """What the vendor knows of a task now."""
        request = _Request("query", "GET", task_path("query", recording))
        answer = await self._call(request, timeout=self._timeout)
        return read_query(answer.body, host=answer.host)

    async def stop(self, recording: Recording, *, async_stop: bool = True) -> StopReply:
        """Let a recording end; with `async_stop` answered at once, otherwise after the upload."""
        request = _Request(
            "stop",
            "POST",
            task_path("stop", recording),
            body={
                "cname": recording.cname,
                "uid": recording.uid,
                "clientRequest": {"async_stop": async_stop},
            },
            patient=not async_stop,
        )
        timeout = self._timeout if async_stop else self._stop_timeout
        answer = await self._call(request, timeout=timeout)
        return read_stop(answer.body, host=answer.host)

    async def ncs_ip(self, path: str = "/v1/ncs/ip") -> bytes:
        """The address list's body as it came; /v1 and /v2 are both documented."""
        request = _Request("ncs_ip", "GET", path)
        return (await self._call(request, timeout=self._timeout)).raw

    async def _begin(self, call: str, path: str, body: Mapping[str, Any], *, name: str) -> str:
        """What the vendor names a thing that begins to exist by this call."""
        request = _Request(call, "POST", path, body=body, repeatable=False, patient=True)
        return str((await self._call(request, timeout=self._timeout)).body[name])

    async def _call(self, request: _Request, *, timeout: float) -> _Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        problem: ApiError | None = None
        asked = self._hosts.order(self._clock.monotonic())
        for url in asked:
            if problem is not None and loop.time() >= deadline:
                break
            try:
                answer = await self._from_host(request, url, deadline, last=url == asked[-1])
            except (RetryLaterError, UnexpectedAnswerError) as error:
                self._leave(request, error, asked=asked, url=url)
                problem = problem or error
            except ApiError:
                self._settle(url, asked, problem)  # not what was asked for, but the vendor's word
                raise
            else:
                self._settle(url, asked, problem)
                return answer
        raise problem or RetryLaterError(request.call, reason="no host is configured")

    def _leave(self, request: _Request, error: ApiError, *, asked: Sequence[str], url: str) -> None:
        """Go on to the next host, or raise where that is no help or not safe."""
        if isinstance(error, SlowDownError):
            self._budget.hold_off(SLOW_DOWN)
            raise error
        if not (request.repeatable or isinstance(error.__cause__, NEVER_SENT)):
            if error.status is None and url != asked[-1]:  # the next call need not wait for it too
                self._settle(asked[asked.index(url) + 1], asked, error)
            raise error
        log.debug("agora.host_skipped", call=request.call, host=error.host, why=str(error))

    def _settle(self, url: str, asked: Sequence[str], problem: ApiError | None) -> None:
        left = self._hosts.settle(url, asked=asked, now=self._clock.monotonic())
        if left is not None:
            log.warning(
                "agora.host_failed",
                host=host_name(left),
                instead=host_name(url),
                why=str(problem),
            )

    async def _from_host(
        self, request: _Request, url: str, deadline: float, *, last: bool
    ) -> _Answer:
        host = host_name(url)
        try:
            async with asyncio.timeout_at(deadline):
                await self._budget.take()
        except TimeoutError as error:
            raise RetryLaterError(request.call, reason="no turn in time") from error
        status, raw = await self._exchange(request, url, deadline, last=last)
        body = decipher(request.call, host=host, status=status, body=raw)
        check_shape(request.call, host=host, body=body)
        self._answered.add(host)
        return _Answer(host, body, raw)

    async def _exchange(
        self, request: _Request, url: str, deadline: float, *, last: bool
    ) -> tuple[int, bytes]:
        host = host_name(url)
        left = deadline - asyncio.get_running_loop().time()
        # half of what is left, so that a host that is gone does not use up the others' time
        share = left if last else left / 2
        try:
            async with asyncio.timeout(left if request.patient else share):
                # to connect is TCP, then TLS: each may take this
                status, raw, request_id = await self._send(request, url, connect=share / 2)
        except httpx.InvalidURL as error:
            raise RefusedError(request.call, host=host, reason="not a URL") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise RetryLaterError(request.call, host=host, reason=type(error).__name__) from error
        log.debug("agora.call", call=request.call, host=host, status=status, request_id=request_id)
        return status, raw

    async def _send(self, request: _Request, url: str, *, connect: float) -> tuple[int, bytes, str]:
        content = _encoded(request)
        headers = {} if content is None else {"Content-Type": "application/json;charset=utf-8"}
        async with self._http.stream(
            request.method,
            url + request.path,
            content=content,
            headers=headers,
            timeout=httpx.Timeout(None, connect=connect),
        ) as response:
            request_id = response.headers.get("X-Request-Id", "")
            return response.status_code, await _read(response), request_id


def _encoded(request: _Request) -> bytes | None:
    try:
        return None if request.body is None else msgspec.json.encode(request.body)
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedError(request.call, reason="the request cannot be written as JSON") from error


async def _read(response: httpx.Response) -> bytes:
    """The body; nothing of one that is too long, which is then no answer of the vendor's."""
    raw = bytearray()
    async for chunk in response.aiter_bytes():
        raw += chunk
        if len(raw) > MAX_ANSWER:
            return b""
    return bytes(raw)
