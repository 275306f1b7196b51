"""A store that comes back with another configuration, before anybody has looked at it."""

import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agora_sidecar.cli.embedded import server_program
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.settings import RedisSettings, StreamSettings
from agora_sidecar.stream import Append
from agora_sidecar.watch import first_look
from receiver.assembly import Parts
from receiver.settings import ReceiverSettings
from tests.integration.processes import Store
from tests.integration.test_receiver_process import ALWAYS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(server_program(), Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


def item(name: str) -> Append:
    return Append("{ncs}:events", ("{ncs}:seen:default:" + name,), ["id", name], b"{}")


async def test_what_it_takes_without_an_fsync_is_acknowledged_from_the_spool(
    store: Store, tmp_path: Path
) -> None:
    parts = Parts(
        tmp_path,
        RedisSettings.model_validate({"url": store.url}),
        StreamSettings(),
        settings=ReceiverSettings(),
        sources=(),
        clock=SystemClock(),
    )
    try:
        await first_look(parts.watch)
        await parts.safety.open()
        assert await parts.inbox.put(item("before"), 1) == "stored"
        store.send(signal.SIGKILL)
        store.options = ()
        await store.start()
        assert await parts.inbox.put(item("after"), 1) == "spooled"
        assert parts.safety.reached == "spool-fsync"

        store.send(signal.SIGKILL)
        store.options = ALWAYS
        await store.start()
        await parts.inbox.put(item("in between"), 1)
        await parts.watch.look()
        assert await parts.inbox.put(item("at last"), 1) == "stored"
    finally:
        await parts.inbox.close()
        await parts.safety.close()
        await parts.client.aclose()
