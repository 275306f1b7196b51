"""httpx in, httpx out: Basic auth, one budget, deadlines, host fail-over. The door to httpx.

A host that is slow, gone, lying (HTML, an odd route) or answers 5xx is left for the next one within
the call's deadline, where that is safe; the one that answered is asked first from then on, until
`hosts.HOME_AFTER`. A start is only tried elsewhere when the connection was never made: the vendor
may have received the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import httpx
import structlog

from agora_sidecar.agora.budget import Budget, BudgetState, Priority
from agora_sidecar.agora.calls import Call
from agora_sidecar.agora.errors import (
    ApiError,
    NoTurnError,
    RefusedError,
    RetryLaterError,
    SlowDownError,
    UnexpectedAnswerError,
)
from agora_sidecar.agora.hosts import Hosts, host_name
from agora_sidecar.agora.replies import check_shape, decipher
from agora_sidecar.process.clock import Clock

log = structlog.get_logger()

MAX_ANSWER = 1024 * 1024
"""Bytes; the largest documented answers are tens of KiB."""
SLOW_DOWN = 1.0
"""Seconds without any call after the vendor said there were too many: it counts by the second."""
MARGIN = 1.05
"""Turns are this much longer: what the way does to their spacing must not make eleven of ten."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
"""Failures of which it is certain that the host received nothing."""
NO_PROXY: Mapping[str, None] = {
    f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")
}
"""A proxy of the environment is for the vendor's hosts, not for an emulator on this machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200 of the vendor's shape; `raw` is its body as it came."""

    host: str
    body: dict[str, Any]
    raw: bytes
    request_id: str = ""


class Exchange:
    """Carries calls to the account's hosts and answers back."""

    def __init__(
        self,
        *,
        base_urls: Sequence[str],
        customer_id: str,
        customer_secret: str,
        clock: Clock,
        requests_per_second: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = Hosts(base_urls)
        self._clock = clock
        self._budget = Budget(requests_per_second / MARGIN, clock=clock)
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(customer_id, customer_secret),
            # not compressed: MAX_ANSWER is then also what can arrive
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            transport=transport,
            mounts=NO_PROXY,
            follow_redirects=False,
        )
        self._answered: set[str] = set()
        self._unanswered: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def has_answered(self, host: str) -> bool:
        """Whether this host has answered a call of ours with 200 and the vendor's shape."""
        return host in self._answered

    def budget(self) -> BudgetState:
        """How the account's budget of calls stands."""
        return self._budget.state()

    async def ask(self, call: Call, *, timeout: float, priority: Priority) -> Answer:
        """The answer, within so many seconds: waiting for a turn and fail-over included.

        Raises:
            ApiError: one of its kinds, by what the caller should do.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        async with self._previous_answered(call, deadline):
            return await self._ask(call, deadline, priority)

    @asynccontextmanager
    async def _previous_answered(self, call: Call, deadline: float) -> AsyncIterator[None]:
        if not call.after:
            yield
            return
        lock = self._unanswered.setdefault(call.after, asyncio.Lock())
        try:
            async with asyncio.timeout_at(deadline):
                await lock.acquire()
        except TimeoutError as error:
            raise RetryLaterError(call.name, reason="the previous one has no answer yet") from error
        try:
            yield
        finally:
            lock.release()

    async def _ask(self, call: Call, deadline: float, priority: Priority) -> Answer:
        loop = asyncio.get_running_loop()
        problem: ApiError | None = None
        asked = self._hosts.order(self._clock.monotonic(), avoid=call.avoid)
        for url in asked:
            if problem is not None and loop.time() >= deadline:
                break
            try:
                await self._turn(call, deadline, priority)
                answer = await self._from_host(call, url, deadline, last=url == asked[-1])
            except (RetryLaterError, UnexpectedAnswerError) as error:
                self._leave(call, error, asked=asked, url=url)
                problem = problem or error
            except ApiError:
                self._settle(url, asked, problem)  # not what was asked for, but the vendor's word
                raise
            else:
                self._settle(url, asked, problem)
                return answer
        raise problem or RetryLaterError(call.name, reason="no host is configured")

    def _leave(self, call: Call, error: ApiError, *, asked: Sequence[str], url: str) -> None:
        """Go on to the next host, or raise where that is no help or not safe."""
        if isinstance(error, SlowDownError):
            self._budget.hold_off(SLOW_DOWN)
            raise error
        if isinstance(error, NoTurnError):
            raise error  # no host's fault
        if not (call.repeatable or isinstance(error.__cause__, NEVER_SENT)):
            odd = error.status is None or isinstance(error, UnexpectedAnswerError)
            if odd and url != asked[-1]:  # the next call need not meet it too
                self._settle(asked[asked.index(url) + 1], asked, error)
            raise error
        log.debug("agora.host_skipped", call=call.name, host=error.host, why=str(error))

    def _settle(self, url: str, asked: Sequence[str], problem: ApiError | None) -> None:
        left = self._hosts.settle(url, asked=asked, now=self._clock.monotonic())
        if left is not None:
            log.warning(
                "agora.host_failed",
                host=host_name(left),
                instead=host_name(url),
                why=str(problem),
            )

    async def _turn(self, call: Call, deadline: float, priority: Priority) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._budget.take(priority)
        except TimeoutError as error:
            raise NoTurnError(call.name, reason="no turn in time") from error

    async def _from_host(self, call: Call, url: str, deadline: float, *, last: bool) -> Answer:
        host = host_name(url)
        status, raw, request_id = await self._exchange(call, url, deadline, last=last)
        log.debug("agora.call", call=call.name, host=host, status=status, request_id=request_id)
        try:
            body = decipher(call.name, host=host, status=status, body=raw)
            check_shape(call.name, host=host, body=body)
        except ApiError as error:
            error.request_id = request_id
            raise
        self._answered.add(host)
        return Answer(host, body, raw, request_id)

    async def _exchange(
        self, call: Call, url: str, deadline: float, *, last: bool
    ) -> tuple[int, bytes, str]:
        host = host_name(url)
        left = deadline - asyncio.get_running_loop().time()
        # half of what is left, so that a host that is gone does not use up the others' time
        share = left if last else left / 2
        try:
            async with asyncio.timeout(left if call.patient else share):
                # to connect is TCP, then TLS: each may take this
                return await self._send(call, url, connect=share / 2)
        except httpx.InvalidURL as error:
            raise RefusedError(call.name, host=host, reason="not a URL") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise RetryLaterError(call.name, host=host, reason=type(error).__name__) from error

    async def _send(self, call: Call, url: str, *, connect: float) -> tuple[int, bytes, str]:
        typed = {} if call.content is None else {"Content-Type": "application/json;charset=utf-8"}
        async with self._http.stream(
            call.method,
            url + call.path,
            content=call.content,
            headers=typed,
            timeout=httpx.Timeout(None, connect=connect),
        ) as response:
            request_id = _printable(response.headers.get("X-Request-Id", ""))
            return response.status_code, await _read(response), request_id


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:128])


async def _read(response: httpx.Response) -> bytes:
    """The body; nothing of one that is too long, which is then no answer of the vendor's."""
    raw = bytearray()
    async for chunk in response.aiter_bytes():
        raw += chunk
        if len(raw) > MAX_ANSWER:
            return b""
    return bytes(raw)
