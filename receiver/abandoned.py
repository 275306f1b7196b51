"""Says at the start what another `stream.shards` left behind in the store: nobody else would."""

import structlog

from agora_sidecar.keys import Shards
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import Redis, StoreError
from agora_sidecar.stream import abandoned

log = structlog.get_logger()

RETRY = 5.0
"""Seconds between attempts while the store does not answer."""
CURE = "read and delete it, or set stream.shards back: nothing is appended or trimmed there"


async def tell_abandoned(client: Redis, shards: Shards, clock: Clock) -> None:
    """Look once, as soon as the store answers; one line for each stream."""
    while True:
        try:
            for stream in await abandoned(client, shards):
                log.warning("stream.abandoned", stream=stream, cure=CURE)
            return
        except StoreError:  # said by whoever watches the store
            await clock.sleep(RETRY)
