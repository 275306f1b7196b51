"""httpx in, httpx out: Basic auth, one budget, deadlines, host fail-over. The door to httpx.

A host that is slow, gone, lying (HTML, an odd route) or answers 5xx is left for the next one within
the call's deadline, where that is safe; the one that answered is asked first from then on, until
`HOME_AFTER`. Starting something is only tried elsewhere when the connection was never made: the
vendor may have received the rest.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
import msgspec
import structlog

from agora_sidecar.agora.budget import Budget
from agora_sidecar.agora.errors import (
    ApiError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.recordings import Recording
from agora_sidecar.agora.replies import QueryReply, StopReply, decipher, read_query, read_stop
from agora_sidecar.process.clock import Clock

log = structlog.get_logger()

MAX_ANSWER = 1024 * 1024
"""Bytes; the largest documented answers are tens of KiB."""
HOME_AFTER = 60.0
"""Seconds after which the preferred host is tried first again."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
"""Failures of which it is certain that the host received nothing."""


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
        self._base_urls = tuple(url.rstrip("/") for url in base_urls)
        self._clock = clock
        self._budget = Budget(requests_per_second, clock=clock)
        self._timeout = timeout
        self._stop_timeout = stop_timeout
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(customer_id, customer_secret),
            headers={"Accept": "application/json"},
            transport=transport,
            timeout=timeout,
            follow_redirects=False,
        )
        self._preferred = 0
        self._left_home = 0.0
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
        path = f"/v1/apps/{quote(app_id, safe='')}/cloud_recording/acquire"
        body = {"cname": cname, "uid": uid, "clientRequest": client_request}
        answer = await self._call("acquire", "POST", path, body=body, repeatable=False)
        return _required(answer.body, "resourceId", call="acquire")

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
        path = (
            f"/v1/apps/{quote(app_id, safe='')}/cloud_recording"
            f"/resourceid/{quote(resource_id, safe='')}/mode/{quote(mode, safe='')}/start"
        )
        body = {"cname": cname, "uid": uid, "clientRequest": client_request}
        answer = await self._call("start", "POST", path, body=body, repeatable=False)
        return _required(answer.body, "sid", call="start")

    async def query(self, recording: Recording) -> QueryReply:
        """What the vendor knows of a task now."""
        answer = await self._call("query", "GET", _path(recording, "query"))
        return read_query(answer.body, host=answer.host)

    async def stop(self, recording: Recording, *, async_stop: bool = True) -> StopReply:
        """Let a recording end; with `async_stop` answered at once, otherwise after the upload."""
        body = {
            "cname": recording.cname,
            "uid": recording.uid,
            "clientRequest": {"async_stop": async_stop},
        }
        timeout = self._timeout if async_stop else self._stop_timeout
        path = _path(recording, "stop")
        answer = await self._call("stop", "POST", path, body=body, timeout=timeout)
        return read_stop(answer.body, host=answer.host)

    async def ncs_ip(self, path: str = "/v1/ncs/ip") -> bytes:
        """The address list's body as it came; /v1 and /v2 are both documented."""
        return (await self._call("ncs_ip", "GET", path)).raw

    async def _call(
        self,
        call: str,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
        timeout: float | None = None,
    ) -> _Answer:
        try:
            async with asyncio.timeout(timeout or self._timeout):
                return await self._from_any_host(call, method, path, body=body, again=repeatable)
        except TimeoutError as error:
            raise RetryLaterError(call, reason="no answer in time") from error

    async def _from_any_host(
        self, call: str, method: str, path: str, *, body: Mapping[str, Any] | None, again: bool
    ) -> _Answer:
        problem: ApiError | None = None
        for number in self._order():
            try:
                answer = await self._from_host(call, method, self._base_urls[number] + path, body)
            except (RetryLaterError, UnexpectedAnswerError) as error:
                problem = problem or error
                if isinstance(error, SlowDownError) or not (again or _never_sent(error)):
                    raise
                log.debug("agora.host_skipped", call=call, host=error.host, why=str(error))
                continue
            self._settle_on(number, problem)
            return answer
        raise problem or RetryLaterError(call, reason="no host")

    async def _from_host(
        self, call: str, method: str, url: str, body: Mapping[str, Any] | None
    ) -> _Answer:
        host = urlsplit(url).netloc
        await self._budget.take()
        # one host may not use up the time of the others
        share = self._timeout if len(self._base_urls) == 1 else self._timeout / 2
        try:
            async with asyncio.timeout(share):
                status, raw, request_id = await self._send(method, url, body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise RetryLaterError(call, host=host, reason=type(error).__name__) from error
        log.debug("agora.call", call=call, host=host, status=status, request_id=request_id)
        answer = decipher(call, host=host, status=status, body=raw)
        self._answered.add(host)
        return _Answer(host, answer, raw)

    async def _send(
        self, method: str, url: str, body: Mapping[str, Any] | None
    ) -> tuple[int, bytes, str]:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json;charset=utf-8"}
        async with self._http.stream(method, url, content=content, headers=headers) as response:
            raw = bytearray()
            async for chunk in response.aiter_bytes():
                raw += chunk
                if len(raw) > MAX_ANSWER:
                    raw = bytearray()  # deciphered as what it is: not the vendor's answer
                    break
            return response.status_code, bytes(raw), response.headers.get("X-Request-Id", "")

    def _order(self) -> list[int]:
        """Numbers of the hosts: the one that works, then the others in the configured order."""
        if self._clock.monotonic() - self._left_home > HOME_AFTER:
            self._preferred = 0
        others = [n for n in range(len(self._base_urls)) if n != self._preferred]
        return [self._preferred, *others]

    def _settle_on(self, number: int, problem: ApiError | None) -> None:
        if number == self._preferred:
            return
        log.warning(
            "agora.host_failed",
            host=urlsplit(self._base_urls[self._preferred]).netloc,
            instead=urlsplit(self._base_urls[number]).netloc,
            why=str(problem),
        )
        self._preferred = number
        self._left_home = self._clock.monotonic()


def _never_sent(error: ApiError) -> bool:
    return isinstance(error.__cause__, NEVER_SENT)


def _path(recording: Recording, verb: str) -> str:
    app_id, resource_id, sid, mode = (
        quote(part, safe="")
        for part in (recording.app_id, recording.resource_id, recording.sid, recording.mode)
    )
    return (
        f"/v1/apps/{app_id}/cloud_recording/resourceid/{resource_id}/sid/{sid}/mode/{mode}/{verb}"
    )


def _required(answer: Mapping[str, Any], name: str, *, call: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswerError(call, status=200, reason=f"no {name} in the answer")
    return value
