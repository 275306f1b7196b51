"""The door for simulations: everything on a clock of one's own, cheaply."""

import time

from agora_sidecar.emulator.faults import Faults
from tests.emulator.virtual import Vendor, page

HOUR = 3600.0


def test_hours_of_hundreds_of_recordings_pass_in_a_moment() -> None:
    vendor = Vendor(faults=Faults(failover=0.3, backup=0.2))
    modes = ("mix", "individual", "web")
    running = [
        vendor.record(mode=modes[n % 3], cname=f"room{n}", **(page() if n % 3 == 2 else {}))
        for n in range(200)
    ]
    began = time.process_time()

    told = vendor.run(2 * HOUR)

    assert len(told) > 200 * 119
    assert time.process_time() - began < 5.0  # 0.2 s on a machine with nothing else to do
    stamps = [message.payload["sendts"] for message in told]
    assert stamps == sorted(stamps)
    for one in running:
        one.stop(async_stop=True)
    vendor.run()
    assert not [*vendor.studio]
    assert vendor.studio.next_due() is None


def test_the_same_seed_tells_the_same() -> None:
    def told(seed: int) -> list[tuple[int, int, str]]:
        vendor = Vendor(seed=seed, faults=Faults(die=0.3, failover=0.5))
        for n in range(20):
            vendor.record(cname=f"room{n}")
        messages = vendor.run(HOUR)
        return [(m.payload["sendts"], m.event_type, m.sid) for m in messages]

    assert told(3) == told(3)
    assert told(3) != told(4)
