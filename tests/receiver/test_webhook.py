import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestClient
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from agora_sidecar.agora.signatures import SigningSecret, sign
from agora_sidecar.keys import Shards
from agora_sidecar.store import StoreError
from receiver.inbox import Inbox
from receiver.inlet import MAX_FIELD, Inlet, proven
from receiver.metrics import ReceiverMetrics
from receiver.webhook import Source, Webhook
from tests.fakes.clock import FakeClock
from tests.fakes.spool import FakeSpool
from tests.fakes.store_writer import FakeWriter

SECRET = b"secret"
NOTICE = {
    "noticeId": "n-1",
    "productId": 3,
    "eventType": 31,
    "notifyMs": 1_700_000_000_000,
    "payload": {"cname": "room", "uid": "7", "sid": "s1", "sequence": 0},
}
BODY = json.dumps(NOTICE).encode()
MAX_BODY = 4096
MAX_CONNECTIONS = 20
HEADERS_TIMEOUT = 0.5


class InletServer(BaseTestServer):
    """The real inlet, as the process serves it."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__()
        self._handler_of_inlet = handler

    async def _make_runner(self, **kwargs: object) -> web.BaseRunner:
        return web.ServerRunner(
            Inlet(
                self._handler_of_inlet,
                max_body=MAX_BODY,
                max_connections=MAX_CONNECTIONS,
                metrics=ReceiverMetrics(CollectorRegistry()),
                headers_timeout=HEADERS_TIMEOUT,
            )
        )


class Receiver:
    """A webhook over a fake store, and a client that talks to it."""

    def __init__(self, clock: FakeClock, registry: CollectorRegistry) -> None:
        self.writer = FakeWriter()
        self.spool = FakeSpool()
        self.clock = clock
        self.registry = registry
        self.max_age: float | None = None
        self.sources = {"default": Source("default", [SigningSecret("old", SECRET)])}

    def webhook(self) -> Webhook:
        metrics = ReceiverMetrics(self.registry)
        return Webhook(
            path="/ncs",
            sources=self.sources,
            max_body=MAX_BODY,
            max_age=self.max_age,
            inbox=self.inbox(metrics),
            shards=Shards(),
            clock=self.clock,
            metrics=metrics,
            on_authentic=proven,
            body_timeout=0.05,
        )

    def inbox(self, metrics: ReceiverMetrics) -> Inbox:
        inbox = Inbox(
            self.writer,
            self.spool,
            metrics=metrics,
            clock=self.clock,
            deadline=8.0,
            hedge_after=2.0,
        )
        inbox.level = "redis-fsync"
        return inbox

    def count(self, status: int, outcome: str) -> float:
        labels = {"status": str(status), "outcome": outcome}
        return self.registry.get_sample_value("agora_sidecar_answers_total", labels) or 0.0


Post = Callable[..., Awaitable[tuple[int, dict[str, str]]]]


@pytest.fixture
def receiver(clock: FakeClock, registry: CollectorRegistry) -> Receiver:
    return Receiver(clock, registry)


@pytest.fixture
async def client(
    receiver: Receiver, aiohttp_client: Callable[..., Awaitable[TestClient]]
) -> TestClient:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await webhook().handle(request)

    made: list[Webhook] = []

    def webhook() -> Webhook:  # made at the first request, when a test has set the receiver up
        if not made:
            made.append(receiver.webhook())
        return made[0]

    return await aiohttp_client(InletServer(handle))


@pytest.fixture
async def post(client: TestClient) -> Post:
    async def do(
        body: bytes = BODY, path: str = "/ncs", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str]]:
        given = sign(SECRET, body) if headers is None else headers
        async with client.post(path, data=body, headers=given) as response:
            assert response.content_type == "application/json"
            assert response.headers["Server"] == "agora-sidecar"
            return response.status, await response.json()

    return do


async def test_a_signed_notice_is_stored_and_its_retry_is_a_duplicate(
    receiver: Receiver, post: Post
) -> None:
    assert await post() == (200, {"status": "stored"})
    retry = json.dumps(NOTICE | {"notifyMs": 1_700_000_009_999}).encode()
    assert await post(retry) == (200, {"status": "duplicate"})

    assert [item.data for batch in receiver.writer.batches for item in batch] == [BODY, retry]
    assert receiver.count(200, "stored") == receiver.count(200, "duplicate") == 1


async def test_one_line_is_logged_for_each_event(post: Post) -> None:
    with capture_logs() as logs:
        await post()
        await post()
        await post(headers={})
    assert [entry["event"] for entry in logs] == [
        "event.stored",
        "event.duplicate",
        "event.refused",
    ]
    assert logs[0]["notice_id"] == "n-1"
    assert "secret" not in str(logs).replace("secret_", "")


async def test_the_consoles_check_is_answered_and_not_stored(
    receiver: Receiver, post: Post
) -> None:
    check = {**NOTICE, "payload": {"cname": "test_webhook", "uid": "12121212"}}
    assert await post(json.dumps(check).encode()) == (200, {"status": "check"})
    assert receiver.writer.batches == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"\x00\xff",
        b"[" * 1500,
        json.dumps(NOTICE | {"productId": "3"}).encode(),
    ],
)
async def test_signed_nonsense_goes_to_the_quarantine(
    receiver: Receiver, post: Post, body: bytes
) -> None:
    assert await post(body) == (200, {"status": "quarantined"})
    ((item,),) = receiver.writer.batches
    assert (item.stream, item.data) == ("{ncs}:quarantine", body)
    assert "reason" in item.fields[::2]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        ({"Agora-Signature": sign(SECRET, BODY)["Agora-Signature"]}, "missing"),
        ({"Agora-Signature-V2": "short"}, "malformed"),
        (sign(SECRET, BODY + b" "), "mismatch"),
        (sign(b"other", BODY), "mismatch"),
    ],
)
async def test_without_a_right_signature_nothing_is_stored(
    receiver: Receiver, post: Post, headers: dict[str, str], reason: str
) -> None:
    assert await post(headers=headers) == (401, {"status": "refused"})
    assert receiver.writer.batches == []
    assert receiver.count(401, reason) == 1


async def test_each_source_has_its_own_path_and_secrets(receiver: Receiver, post: Post) -> None:
    receiver.sources["other"] = Source("other", [SigningSecret("new", b"two")])
    assert (await post(path="/ncs/other", headers=sign(b"two", BODY)))[0] == 200
    assert (await post(path="/ncs/other"))[0] == 401
    assert (await post(path="/ncs/default")) == (200, {"status": "stored"})
    assert (await post(path="/ncs/nobody"))[0] == 404
    assert (await post(path="/"))[0] == 404
    used = receiver.registry.get_sample_value(
        "agora_sidecar_secret_used_total", {"source": "other", "label": "new"}
    )
    assert used == 1


async def test_a_single_source_of_any_name_has_the_short_path(
    receiver: Receiver, post: Post
) -> None:
    receiver.sources = {"main": Source("main", [SigningSecret("a", SECRET)])}
    assert (await post())[0] == 200


async def test_several_sources_without_a_default_have_no_short_path(
    receiver: Receiver, post: Post
) -> None:
    secrets = [SigningSecret("a", SECRET)]
    receiver.sources = {name: Source(name, secrets) for name in ("a", "b")}
    assert (await post())[0] == 404


async def test_a_redundant_source_marks_the_payload_too(receiver: Receiver, post: Post) -> None:
    secrets = [SigningSecret("a", SECRET)]
    receiver.sources = {"default": Source("default", secrets, redundant=True)}
    assert (await post())[1] == {"status": "stored"}
    twin = json.dumps(NOTICE | {"noticeId": "other"}).encode()
    assert (await post(twin))[1] == {"status": "duplicate"}


async def test_a_notice_older_than_max_age_is_refused(receiver: Receiver, post: Post) -> None:
    receiver.max_age = 60.0
    assert (await post())[0] == 200
    receiver.clock.advance(61.0)
    assert (await post())[0] == 401
    assert receiver.count(401, "stale") == 1
    ageless = b'{"noticeId":"a","productId":3,"eventType":1}'
    assert (await post(ageless))[0] == 200


async def test_other_methods_are_told_which_is_right(client: TestClient) -> None:
    async with client.get("/ncs") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
        assert await response.json() == {"status": "refused"}


async def test_a_body_over_the_limit_is_refused_declared_or_not(
    receiver: Receiver, client: TestClient
) -> None:
    large = b"x" * (MAX_BODY + 1)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield large

    for data in (large, chunks()):
        async with client.post("/ncs", data=data, headers=sign(SECRET, large)) as response:
            assert response.status == 413
            assert await response.json() == {"status": "refused"}
    assert receiver.writer.batches == []


async def test_a_compressed_body_is_refused_before_it_is_read(client: TestClient) -> None:
    async with client.post("/ncs", data=BODY, headers={"Content-Encoding": "gzip"}) as response:
        assert response.status == 415


@pytest.mark.parametrize("error", [StoreError("oom", "full"), RuntimeError("a bug")])
async def test_what_only_the_spool_takes_is_acknowledged(
    receiver: Receiver, post: Post, error: Exception
) -> None:
    receiver.writer.fail_with = error
    assert await post() == (200, {"status": "spooled"})
    assert await post(b"no json") == (200, {"status": "quarantined"})
    assert [item.data for batch in receiver.spool.batches for item in batch] == [BODY, b"no json"]


async def test_what_neither_store_nor_spool_takes_is_never_acknowledged(
    receiver: Receiver, post: Post
) -> None:
    receiver.writer.fail_with = StoreError("oom", "full")
    receiver.spool.fails = True
    assert await post() == (503, {"status": "unavailable"})
    assert await post(b"no json") == (503, {"status": "unavailable"})
    receiver.writer.fail_with = None
    assert await post() == (200, {"status": "stored"})


async def raw(client: TestClient, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(data)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"NOT HTTP AT ALL\r\n\r\n",
        b"POST /ncs HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /ncs HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /ncs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"POST /ncs HTTP/1.1\r\nHost: a\r\nX: " + b"y" * (MAX_FIELD + 10_000) + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_a_small_refusal_and_no_traceback(
    client: TestClient, data: bytes
) -> None:
    with capture_logs() as logs:
        answer = await raw(client, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.")
    assert b" 400 " in head
    assert body == b'{"status":"refused"}'
    assert [entry["event"] for entry in logs] == ["http.bad_request"]


async def test_a_truncated_body_stores_nothing_and_is_no_error_of_ours(
    receiver: Receiver, client: TestClient
) -> None:
    with capture_logs() as logs:
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /ncs HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n" + BODY)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        async with client.post("/ncs", data=BODY, headers=sign(SECRET, BODY)) as response:
            assert response.status == 200
    assert len(receiver.writer.batches) == 1
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


@pytest.mark.parametrize("chunk", [b"ZZ\r\n", b"5\r\nabc", b"-1\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\n"])
async def test_broken_chunks_are_no_error_of_ours(
    receiver: Receiver, client: TestClient, chunk: bytes
) -> None:
    head = b"POST /ncs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with capture_logs() as logs:
        answer = await raw(client, head + chunk)
    assert answer.split()[1] in {b"400", b"408"}
    assert b"aiohttp" not in answer
    assert receiver.writer.batches == []
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


async def test_a_body_that_does_not_come_is_given_up(
    receiver: Receiver, client: TestClient
) -> None:
    answer = await raw(client, b"POST /ncs HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert body == b'{"status":"refused"}'
    assert receiver.count(408, "slow_body") == 1


async def test_a_bug_is_answered_500_without_a_word_about_it(
    aiohttp_client: Callable[..., Awaitable[TestClient]],
) -> None:
    async def broken(_: web.BaseRequest) -> web.StreamResponse:
        raise RuntimeError("the inside story")

    client = await aiohttp_client(InletServer(broken))
    async with client.post("/ncs", data=b"") as response:
        assert (response.status, await response.read()) == (500, b'{"status":"error"}')
        assert response.headers["Server"] == "agora-sidecar"


async def closed_by_server(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(5):
            return await reader.read() == b""
    except ConnectionError:
        return True


async def test_headers_that_do_not_come_cost_a_connection_for_a_moment_only(
    client: TestClient,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"POST /ncs HTTP/1.1\r\nHost: a\r\nX-Slow")
    assert await closed_by_server(reader)
    writer.close()


async def test_idle_connections_keep_nobody_out(client: TestClient, post: Post) -> None:
    held = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(60)]
    assert (await post())[0] == 200
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",  # refused, and kept alive
        b"POST /ncs HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /ncs HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",  # its body never comes
    ],
)
async def test_nobody_without_a_secret_keeps_the_vendor_out(
    receiver: Receiver, client: TestClient, sent: bytes
) -> None:
    vendor_reader, vendor = await asyncio.open_connection("127.0.0.1", client.port)
    vendor.write(request(BODY, b"Content-Length: %d" % len(BODY)) + BODY)
    assert await vendor_reader.readuntil(b"}") and receiver.count(200, "stored") == 1
    held = []
    for _ in range(MAX_CONNECTIONS + 5):
        held.append(await asyncio.open_connection("127.0.0.1", client.port))
        held[-1][1].write(sent)
    await asyncio.sleep(0)
    # both the connection that the vendor has, and a new one
    vendor.write(request(BODY, b"Content-Length: %d" % len(BODY)) + BODY)
    assert await vendor_reader.readuntil(b"}") and receiver.count(200, "duplicate") == 1
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(request(BODY, b"Content-Length: %d" % len(BODY)) + BODY)
    assert b"200 OK" in await reader.readuntil(b"}")
    for _, one in (*held, (reader, writer), (vendor_reader, vendor)):
        one.close()


def request(body: bytes, *more: bytes, secret: bytes = SECRET) -> bytes:
    headers = [f"{name}: {value}".encode() for name, value in sign(secret, body).items()]
    head = [b"POST /ncs HTTP/1.1", b"Host: a", *headers, *more]
    return b"\r\n".join([*head, b"", b""])


async def test_a_client_that_waits_for_100_continue_gets_it(client: TestClient) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    length = b"Content-Length: %d" % len(BODY)
    writer.write(request(BODY, length, b"Expect: 100-continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(BODY)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_any_other_expectation_is_refused(client: TestClient) -> None:
    data = request(BODY, b"Content-Length: %d" % len(BODY), b"Expect: a-miracle")
    assert b"417" in (await raw(client, data)).split(b"\r\n")[0]


async def test_chunks_without_end_are_given_up(client: TestClient) -> None:
    data = request(BODY, b"Transfer-Encoding: chunked") + b"5\r\nabcde\r\n"
    assert b"408" in (await raw(client, data)).split(b"\r\n")[0]


async def test_pipelined_requests_are_each_answered_in_order(client: TestClient) -> None:
    bodies = [json.dumps(NOTICE | {"noticeId": f"p-{n}"}).encode() for n in range(300)]
    wire = b"".join(request(b, b"Content-Length: %d" % len(b)) + b for b in bodies)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(wire + wire[: len(wire) // 300])
    answers = [await reader.readuntil(b"}") for _ in range(301)]
    assert [b'"stored"' in answer for answer in answers] == [True] * 300 + [False]
    writer.close()


async def test_who_never_reads_the_answers_is_cut_off(client: TestClient) -> None:
    wire = request(BODY, b"Content-Length: %d" % len(BODY)) + BODY
    with socket.socket() as flood:
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flood.connect(("127.0.0.1", client.port))
        flood.setblocking(False)
        loop = asyncio.get_running_loop()

        async def pour() -> None:
            async with asyncio.timeout(30):
                while True:
                    await loop.sock_sendall(flood, wire * 200)

        with pytest.raises(ConnectionError):
            await pour()


async def test_old_and_closing_clients_get_an_answer_and_an_end(client: TestClient) -> None:
    length = b"Content-Length: %d" % len(BODY)
    closing = request(BODY, length, b"Connection: close") + BODY
    assert b'{"status":"stored"}' in await raw(client, closing)
    old = request(BODY, length).replace(b"HTTP/1.1", b"HTTP/1.0") + BODY
    assert b'{"status":"duplicate"}' in await raw(client, old)


async def test_a_trailer_is_never_a_header_of_the_next_request(client: TestClient) -> None:
    """aiohttp's parser keeps the last trailer: whoever shares a connection could be spoken for."""
    first = (
        b"POST /ncs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nAgora-Signature-V2: 0\r\n\r\n"
    )
    answer = await raw(client, first + request(BODY, b"Content-Length: %d" % len(BODY)) + BODY)
    assert answer.count(b"HTTP/1.1 ") == 1  # and the connection is closed behind it
    assert answer.startswith(b"HTTP/1.1 401")


async def test_an_answer_to_head_has_no_body(client: TestClient) -> None:
    answer = await raw(client, b"HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    for _ in range(2):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404")
    writer.close()


async def test_an_old_client_is_not_told_to_go_on(client: TestClient) -> None:
    length = b"Content-Length: %d" % len(BODY)
    head = request(BODY, length, b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert b"100 Continue" not in await raw(client, head)
