import pytest

from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.resources import LIFETIME, MAX_RESOURCES, Resources


def code(
    resources: Resources, name: str = "r", *, cname: str = "c", uid: str = "1", now: float
) -> int:
    with pytest.raises(Refusal) as caught:
        resources.find(name, cname=cname, uid=uid, now=now)
    return int(caught.value.body["code"])


@pytest.fixture
def resources() -> Resources:
    resources = Resources()
    resources.add("r", cname="c", uid="1", now=1000.0)
    return resources


def test_a_resource_serves_one_start_and_survives_one_that_failed(resources: Resources) -> None:
    resources.find("r", cname="c", uid="1", now=1001.0)

    resources.find("r", cname="c", uid="1", now=1002.0).started = True

    assert code(resources, now=1003.0) == 7


def test_a_resource_expires_after_five_minutes(resources: Resources) -> None:
    resources.find("r", cname="c", uid="1", now=1000.0 + LIFETIME - 0.001)

    assert code(resources, now=1000.0 + LIFETIME) == 433


def test_a_resource_that_was_used_in_time_is_used_and_not_expired(resources: Resources) -> None:
    resources.find("r", cname="c", uid="1", now=1001.0).started = True

    assert code(resources, now=9000.0) == 7


def test_a_resource_is_bound_to_its_channel_and_uid(resources: Resources) -> None:
    assert code(resources, cname="other", now=1001.0) == 432
    assert code(resources, uid="2", now=1001.0) == 432


def test_a_resource_that_was_never_given_out_is_unknown(resources: Resources) -> None:
    assert code(resources, "x" * 100_000, now=1001.0) == 1001


def test_the_oldest_of_too_many_is_forgotten(resources: Resources) -> None:
    for n in range(MAX_RESOURCES):
        resources.add(f"r{n}", cname="c", uid="1", now=1000.0)

    assert code(resources, now=1001.0) == 1001
    resources.find("r0", cname="c", uid="1", now=1001.0)
