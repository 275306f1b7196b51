"""What the models allow, the emulator accepts: two readings of the same reference agree."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora_sidecar.agora.requests import check
from agora_sidecar.emulator.studio.task import RECORDING
from tests.agora.valid_bodies import MODES, acquires, cnames, layouts, starts, uids, updates
from tests.emulator.virtual import Vendor


def one_life(mode: str, data: st.DataObject) -> None:
    """From acquire to stop, with bodies drawn from the models' rules."""
    names = {"cname": data.draw(cnames(mode)), "uid": data.draw(uids)}
    wish = data.draw(acquires(mode))
    order: dict[str, Any] = data.draw(starts(mode, postponed=wish["scene"] == 2))
    if "startParameter" in wish:
        wish["startParameter"] = order
    services = order.get("extensionServiceConfig", {}).get("extensionServices", [])
    change = data.draw(updates(mode))
    if len(services) < 2:  # it pushes to no CDN
        change.pop("rtmpPublishConfig", None)
    streams = order.get("recordingConfig", {}).get("streamTypes", 2)
    for types, key in ((0, "videoUidList"), (1, "audioUidList")):
        if streams == types:  # it subscribes to none
            change.get("streamSubscribe", {}).pop(key, None)
    assert not check("start", {**names, "clientRequest": order}, mode=mode)
    vendor = Vendor()

    running = vendor.start(vendor.acquire(**names, **wish), mode=mode, **names, **order)

    if running.recorder.plan.luck.death:
        return  # accepted; a bucket called `wrong` is how one orders a death, and gets drawn
    vendor.run(20.0)
    assert running.query()["status"] in RECORDING
    running.update(**change)
    if mode == "mix":
        running.update_layout(**data.draw(layouts()))
    if running.recorder.task.recorded:
        running.stop(async_stop=data.draw(st.booleans()))


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_valid_body_is_accepted(mode: str, data: st.DataObject) -> None:
    one_life(mode, data)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_valid_bodies_are_accepted(mode: str, data: st.DataObject) -> None:
    one_life(mode, data)
