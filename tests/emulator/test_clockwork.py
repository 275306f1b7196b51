from structlog.testing import capture_logs

from agora_sidecar.emulator.clockwork import Clockwork
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.studio.message import Message
from agora_sidecar.emulator.studio.plan import Luck, Plan
from agora_sidecar.emulator.studio.studio import Studio
from agora_sidecar.emulator.studio.task import GONE
from tests.fakes.clock import FakeClock
from tests.integration.processes import until


async def test_an_unforeseen_failure_of_one_recording_is_logged_and_the_others_go_on() -> None:
    clock = FakeClock()
    pace = Pace(clock, 1.0)
    studio, told = Studio(stamp=pace.stamp), list[Message]()
    clockwork = Clockwork(studio, pace=pace, tell=told.append)
    broken = Plan(
        sid="broken",
        resource_id="r",
        cname="a",
        uid="1",
        luck=Luck(death="nobody foresaw this", dies_at=1.0),
    )
    with capture_logs() as logs:
        clockwork.start()
        lost = studio.start(broken, pace.elapsed())
        studio.start(Plan(sid="well", resource_id="r", cname="b", uid="1"), pace.elapsed())
        await until(lambda: clock.advance(0.25) or told)
        await clockwork.close()

    assert {message.sid for message in told} == {"well"}
    assert [entry["event"] for entry in logs] == ["emulator.recorder_failed"]
    assert lost.task.status == GONE
    assert [recorder.plan.sid for recorder in studio] == ["well"]


async def test_who_waits_is_let_go_when_it_is_closed() -> None:
    pace = Pace(FakeClock(), 1.0)
    clockwork = Clockwork(Studio(stamp=pace.stamp), pace=pace, tell=lambda _: None)
    clockwork.start()
    assert clockwork.running

    await clockwork.close()

    assert not await clockwork.until(lambda: False, at_most=1000.0)
    assert not clockwork.running
