import asyncio

from prometheus_client import CollectorRegistry

from agora_sidecar.keys import Keys, Shards
from agora_sidecar.store import Redis, connect
from receiver.backlog import Backlog
from receiver.metrics import LATENCY_BUCKETS, ReceiverMetrics
from receiver.traffic import counted


def test_counts_since_the_start_are_told_as_they_are(registry: CollectorRegistry) -> None:
    metrics = ReceiverMetrics(registry)
    metrics.answer("200", "stored").inc(2)
    metrics.answer("401", "mismatch").inc()
    metrics.safe_by("redis-fsync").inc(2)
    metrics.acknowledge.observe(0.002)
    metrics.acknowledge.observe(20)
    metrics.batch.observe(2)
    metrics.connections.set(3)

    told = counted(metrics)

    assert told["answers"] == [
        {"status": "200", "outcome": "stored", "count": 2},
        {"status": "401", "outcome": "mismatch", "count": 1},
    ]
    assert told["safe"] == {"redis-fsync": 2}
    assert (told["acknowledge"]["count"], told["acknowledge"]["sum"]) == (2, 20.002)
    assert [bound for bound, _ in told["acknowledge"]["buckets"]] == [*LATENCY_BUCKETS, None]
    assert [total for _, total in told["acknowledge"]["buckets"]][:3] == [0, 1, 1]
    assert told["acknowledge"]["buckets"][-1] == [None, 2]
    assert told["batches"] == {"count": 1, "sum": 2.0}
    assert (told["connections"], told["waiting"]) == (3, 0)


async def test_every_streams_length_and_how_far_its_groups_are(redis: Redis) -> None:
    keys = Keys("ncs")
    for number in range(3):
        await redis.xadd(keys.events, {"n": str(number)})
    await redis.xgroup_create(keys.events, "billing", id="0")
    await redis.xreadgroup("billing", "one", {keys.events: ">"}, count=1)

    [told] = await Backlog(redis, Shards("ncs", 1)).look()

    assert told == {
        "stream": keys.events,
        "entries": 3,
        "groups": [{"name": "billing", "pending": 1, "lag": 2}],
        "problem": "",
    }


async def test_what_cannot_be_known_is_said_and_holds_nobody_up(redis: Redis) -> None:
    shards = Shards("ncs", 2)
    await redis.set(shards.all[0].events, "no stream")
    gone = connect("unix:///nowhere/s")
    try:
        wrong, empty = await Backlog(redis, shards).look()
        missing = await asyncio.wait_for(Backlog(gone, shards).look(), 5)
    finally:
        await gone.aclose()

    assert (wrong["entries"], bool(wrong["problem"])) == (None, True)
    assert (empty["entries"], empty["groups"], empty["problem"]) == (0, [], "")
    assert all(one["problem"] for one in missing)
