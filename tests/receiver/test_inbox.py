import asyncio

import pytest
from prometheus_client import CollectorRegistry

from agora_sidecar.store import StoreError
from agora_sidecar.stream import Append, Outcome
from receiver.inbox import Inbox
from receiver.metrics import ReceiverMetrics
from tests.fakes.store_writer import FakeWriter


def item(name: str) -> Append:
    return Append("events", (name,), [], b"")


def inbox(writer: FakeWriter, *, deadline: float = 10.0, max_batch: int = 256) -> Inbox:
    metrics = ReceiverMetrics(CollectorRegistry())
    return Inbox(writer, metrics=metrics, deadline=deadline, max_batch=max_batch)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_arrives_during_a_commit_goes_together_in_order() -> None:
    writer = FakeWriter()
    box = inbox(writer)
    writer.gate.clear()
    puts = [asyncio.ensure_future(box.put(item(f"{number}"))) for number in range(1)]
    await settle()
    puts += [asyncio.ensure_future(box.put(item(f"{number}"))) for number in range(1, 6)]
    await settle()
    writer.gate.set()

    assert await asyncio.gather(*puts) == [Outcome.STORED] * 6
    assert [[i.marks[0] for i in batch] for batch in writer.batches] == [["0"], list("12345")]


async def test_a_batch_has_a_limit() -> None:
    writer = FakeWriter()
    box = inbox(writer, max_batch=2)
    await asyncio.gather(*(box.put(item(f"{number}")) for number in range(5)))
    assert [len(batch) for batch in writer.batches] == [2, 2, 1]


async def test_each_gets_its_own_outcome() -> None:
    box = inbox(FakeWriter())
    assert await box.put(item("a")) is Outcome.STORED
    outcomes = await asyncio.gather(box.put(item("b")), box.put(item("a")), box.put(item("b")))
    assert outcomes == [Outcome.STORED, Outcome.DUPLICATE_NOTICE, Outcome.DUPLICATE_NOTICE]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(StoreError("oom", "full"), "oom"), (RuntimeError("odd"), "bug"), (TimeoutError(), "timeout")],
)
async def test_a_failed_batch_fails_all_of_it_and_the_next_is_tried(
    error: Exception, kind: str
) -> None:
    writer = FakeWriter()
    box = inbox(writer)
    writer.fail_with = error
    results = await asyncio.gather(box.put(item("a")), box.put(item("b")), return_exceptions=True)
    assert [getattr(result, "kind", None) for result in results] == [kind, kind]
    writer.fail_with = None
    assert await box.put(item("a")) is Outcome.STORED


async def test_a_store_that_hangs_is_given_up_in_half_the_deadline() -> None:
    writer = FakeWriter()
    writer.gate.clear()
    with pytest.raises(StoreError, match="timeout"):
        await inbox(writer, deadline=0.02).put(item("a"))


async def test_a_client_that_hangs_up_does_not_cancel_the_commit() -> None:
    writer = FakeWriter()
    box = inbox(writer)
    writer.gate.clear()
    gone, stays = (asyncio.ensure_future(box.put(item(name))) for name in "ab")
    await settle()
    gone.cancel()
    writer.gate.set()
    assert await stays is Outcome.STORED
    assert writer.known == {"a", "b"}


async def test_closing_waits_for_what_was_taken() -> None:
    writer = FakeWriter()
    box = inbox(writer)
    await box.close()
    put = asyncio.ensure_future(box.put(item("a")))
    await settle()
    await box.close()
    assert await put is Outcome.STORED


async def test_an_answer_that_does_not_fit_its_batch_leaves_nobody_waiting() -> None:
    writer = FakeWriter()
    writer.forget_last_outcome = True
    box = inbox(writer)
    results = await asyncio.gather(box.put(item("a")), box.put(item("b")), return_exceptions=True)
    assert [getattr(result, "kind", None) for result in results] == ["odd", "odd"]
