import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from scheduler.timetable import Timetable, TimetableMetrics
from tests.integration.processes import until

HOUR = 3600.0


class Work:
    """A job that counts its runs, and does what it is told."""

    def __init__(self, again: float | None = None) -> None:
        self.runs = 0
        self.finished = 0
        self.again = again
        self.fail = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> float | None:
        self.runs += 1
        await self.gate.wait()
        if self.fail:
            raise RuntimeError("a bug")
        self.finished += 1
        return self.again


@pytest.fixture
async def timetable(registry: CollectorRegistry) -> AsyncIterator[Timetable]:
    timetable = Timetable(metrics=TimetableMetrics(registry))
    timetable.start()
    yield timetable
    await timetable.close(within=1.0)


@pytest.fixture
def runs(registry: CollectorRegistry) -> Callable[[str], float]:
    def count(result: str) -> float:
        labels = {"job": "job", "result": result}
        return registry.get_sample_value("agora_sidecar_job_runs_total", labels) or 0.0

    return count


async def test_a_job_runs_at_once_and_then_at_its_interval(timetable: Timetable) -> None:
    rare, often = Work(), Work()
    timetable.add("rare", rare, interval=HOUR, jitter=HOUR / 20)
    timetable.add("often", often, interval=0.05)
    await until(lambda: often.runs >= 3)
    assert rare.runs == 1


async def test_a_job_may_ask_to_be_called_earlier(timetable: Timetable) -> None:
    work = Work(again=0.01)
    timetable.add("job", work, interval=HOUR)
    await until(lambda: work.runs >= 3)


async def test_a_job_may_be_hurried(timetable: Timetable) -> None:
    work = Work()
    timetable.add("job", work, interval=HOUR)
    await until(lambda: work.finished == 1)
    timetable.hurry("job")
    await until(lambda: work.finished == 2)
    timetable.hurry("nobody")


async def test_a_job_that_is_hurried_while_it_runs_runs_once_more(timetable: Timetable) -> None:
    work = Work()
    work.gate.clear()
    timetable.add("job", work, interval=HOUR)
    await until(lambda: work.runs == 1)
    timetable.hurry("job")
    timetable.hurry("job")
    work.gate.set()
    await until(lambda: work.finished == 2)
    await asyncio.sleep(0.05)
    assert work.runs == 2


async def test_a_job_that_fails_is_said_and_runs_again(
    timetable: Timetable, runs: Callable[[str], float]
) -> None:
    work = Work()
    work.fail = True
    with capture_logs() as logs:
        timetable.add("job", work, interval=0.05)
        await until(lambda: work.runs >= 2)
        work.fail = False
        await until(lambda: work.finished >= 1)
    assert logs[0]["event"] == "job.failed"
    assert runs("failed") >= 2
    assert runs("ok") >= 1


async def test_a_job_never_overlaps_itself(
    timetable: Timetable, runs: Callable[[str], float]
) -> None:
    work = Work()
    work.gate.clear()
    with capture_logs() as logs:
        timetable.add("job", work, interval=0.05)
        await until(lambda: runs("overrun") >= 1)
    assert work.runs == 1
    assert {"job.overrun"} == {entry["event"] for entry in logs}
    work.gate.set()


async def test_what_is_under_way_at_the_end_is_finished(registry: CollectorRegistry) -> None:
    timetable = Timetable(metrics=TimetableMetrics(registry))
    work = Work()
    work.gate.clear()
    timetable.add("job", work, interval=HOUR)
    timetable.start()
    await until(lambda: work.runs == 1)
    closing = asyncio.create_task(timetable.close(within=10.0))
    await asyncio.sleep(0)
    work.gate.set()
    await closing
    assert work.finished == 1


async def test_what_does_not_end_is_given_up_in_time(registry: CollectorRegistry) -> None:
    timetable = Timetable(metrics=TimetableMetrics(registry))
    work = Work()
    work.gate.clear()
    timetable.add("job", work, interval=HOUR)
    timetable.start()
    await until(lambda: work.runs == 1)
    await timetable.close(within=0.05)
    assert work.finished == 0


async def test_a_timetable_that_never_started_can_be_closed(registry: CollectorRegistry) -> None:
    await Timetable(metrics=TimetableMetrics(registry)).close(within=1.0)
