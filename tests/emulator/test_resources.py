import pytest

from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.resources import MAX_RESOURCES, Resource, Resources, digest
from tests.emulator.virtual import Vendor, code


def test_a_resource_is_bound_to_its_channel_and_uid() -> None:
    resources = Resources()
    resources.add("r", Resource("c", "1", expires=300.0))

    assert resources.find("r", cname="c", uid="1").expires == 300.0
    for cname, uid in (("other", "1"), ("c", "2")):
        with pytest.raises(Refusal) as caught:
            resources.find("r", cname=cname, uid=uid)
        assert code(caught.value) == (400, 432)


def test_a_resource_that_was_never_given_out_is_unknown() -> None:
    with pytest.raises(Refusal) as caught:
        Resources().find("r", cname="c", uid="1")

    assert code(caught.value) == (400, 1001)


def test_the_oldest_of_too_many_is_forgotten() -> None:
    resources = Resources()
    for number in range(MAX_RESOURCES + 1):
        resources.add(str(number), Resource("c", "1", expires=300.0))

    with pytest.raises(Refusal):
        resources.find("0", cname="c", uid="1")
    assert resources.find("1", cname="c", uid="1")


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})


def test_a_resource_expires_after_five_minutes() -> None:
    vendor = Vendor()
    in_time, too_late = vendor.acquire(), vendor.acquire(uid="2")
    vendor.run(299.0)
    vendor.start(in_time)
    vendor.run(1.0)

    with pytest.raises(Refusal) as caught:
        vendor.start(too_late, uid="2")

    assert code(caught.value) == (400, 433)


def test_a_resource_serves_one_start_and_survives_one_that_failed() -> None:
    vendor = Vendor()
    resource_id = vendor.acquire()
    with pytest.raises(Refusal):
        vendor.start(resource_id, recordingConfig={"maxIdleTime": 1})
    running = vendor.start(resource_id)
    vendor.run(400.0)

    with pytest.raises(Refusal) as caught:
        vendor.start(resource_id)

    assert code(caught.value) == (201, 7)
    vendor.run(1.0)
    assert running.details(3) == [
        {"status": 5, "recordingMode": 1, "fileList": f"{running.path.sid}_room1.m3u8"}
    ]
