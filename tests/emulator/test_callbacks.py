import itertools
from dataclasses import replace

import msgspec
import pytest

from agora_sidecar.agora.recordings import IN_PROGRESS, READY
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.studio.task import GONE
from tests.emulator.laboratory import CNAME, Build, Laboratory


async def whole_life(laboratory: Laboratory, *, cname: str = CNAME, step: float = 0.25) -> str:
    """A recording from start to its end, every delivery done."""
    resource_id, sid = await laboratory.record(cname=cname)
    await laboratory.until_status(sid, IN_PROGRESS)
    await laboratory.stop(resource_id, sid, cname=cname)
    await laboratory.until_status(sid, GONE)
    await laboratory.settle(step=step)
    return sid


async def test_a_recording_tells_its_life_in_order_and_signed(laboratory: Laboratory) -> None:
    sid = await whole_life(laboratory)

    receiver = laboratory.receiver
    assert receiver.forged == 0
    assert receiver.event_types[:5] == [40, 43, 44, 42, 4]
    assert sorted(receiver.event_types[5:]) == [11, 30, 31, 41]
    assert [arrival.sequence for arrival in receiver.arrivals] == list(range(9))
    assert {arrival.json["payload"]["sid"] for arrival in receiver.arrivals} == {sid}
    assert all(len(bytes.fromhex(arrival.json["noticeId"])) == 16 for arrival in receiver.arrivals)


async def test_the_journal_has_what_arrived_byte_for_byte(laboratory: Laboratory) -> None:
    sid = await whole_life(laboratory)

    journal = laboratory.emulator.journal
    bodies = [body for notice in journal.notices.values() for body in notice.bodies]
    assert bodies == [arrival.body for arrival in laboratory.receiver.arrivals]
    assert (journal.sent, dict(journal.answers)) == (9, {200: 9})
    assert (journal.duplicates_sent, journal.lost, journal.gave_up, journal.disordered) == (0,) * 4
    assert list(journal.recordings[sid].events) == laboratory.receiver.event_types
    assert all(notice.acknowledged for notice in journal.notices.values())


async def test_the_top_level_sid_is_there_only_sometimes(laboratory: Laboratory) -> None:
    for n in range(3):
        await whole_life(laboratory, cname=f"room{n}")

    with_sid = ["sid" in arrival.json for arrival in laboratory.receiver.arrivals]
    assert True in with_sid
    assert False in with_sid


async def test_what_is_not_acknowledged_is_sent_again_anew(laboratory: Laboratory) -> None:
    laboratory.receiver.answers = [500, 201, 204, 200]

    await whole_life(laboratory)

    journal = laboratory.emulator.journal
    notice = next(iter(journal.notices.values()))
    assert [notice.answers for notice in journal.notices.values()] == [[500, 201, 204, 200]] * 9
    attempts = [a for a in laboratory.receiver.arrivals if a.json["noticeId"] == notice.notice_id]
    assert len(attempts) == 4
    assert len({attempt.body for attempt in attempts}) == 4
    assert len({attempt.sha256 for attempt in attempts}) == 4
    stamps = [attempt.json["notifyMs"] for attempt in attempts]
    assert stamps == sorted(set(stamps))
    payloads = [attempt.json["payload"] for attempt in attempts]
    assert payloads == [payloads[0]] * 4
    assert laboratory.receiver.forged == 0


async def test_after_three_retries_the_notice_is_given_up(laboratory: Laboratory) -> None:
    laboratory.receiver.answers = [503] * 4

    await whole_life(laboratory)

    journal = laboratory.emulator.journal
    assert [notice.answers for notice in journal.notices.values()] == [[503] * 4] * 9
    assert all(notice.gave_up and not notice.lost for notice in journal.notices.values())
    assert (journal.gave_up, journal.sent) == (9, 36)


async def test_retries_come_at_once_and_then_at_growing_intervals(laboratory: Laboratory) -> None:
    laboratory.receiver.answers = [500] * 4
    _, sid = await laboratory.record()
    await laboratory.until_status(sid, READY)
    await laboratory.until(lambda: len(laboratory.receiver.arrivals) == 2, step=0.0)

    notices = laboratory.emulator.journal.notices
    await laboratory.until(lambda: any(notice.gave_up for notice in notices.values()))

    stamps = [msgspec.json.decode(body)["notifyMs"] for body in next(iter(notices.values())).bodies]
    gaps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert gaps[1] >= 4_999  # stamps are cut to whole milliseconds
    assert gaps[2] >= 19_999


async def test_an_answer_that_does_not_come_in_time_counts_as_none(build: Build) -> None:
    laboratory = await build(speed=100.0)
    laboratory.receiver.hang = True

    await laboratory.record()
    journal = laboratory.emulator.journal
    await laboratory.until(lambda: journal.gave_up > 0)

    notice = next(notice for notice in journal.notices.values() if notice.gave_up)
    assert notice.answers == [None] * 4
    assert journal.answers["no answer"] >= 4


async def test_nobody_there_counts_as_no_answer(build: Build) -> None:
    laboratory = await build(callback="http://127.0.0.1:1/ncs")

    await whole_life(laboratory)

    assert set(laboratory.emulator.journal.answers) == {"no answer"}


async def test_a_redirect_is_not_followed_and_not_an_acknowledgement(
    laboratory: Laboratory,
) -> None:
    laboratory.receiver.answers = [307]

    await whole_life(laboratory)

    assert dict(laboratory.emulator.journal.answers) == {307: 9, 200: 9}


async def test_without_a_callback_url_notices_are_only_written_down(build: Build) -> None:
    laboratory = await build(callback="")

    await whole_life(laboratory)

    assert laboratory.emulator.journal.sent == 0
    assert len(laboratory.emulator.journal.notices) == 9


async def test_what_is_lost_never_arrives(build: Build) -> None:
    laboratory = await build(faults=Faults(lose=1.0))

    await whole_life(laboratory)

    journal = laboratory.emulator.journal
    assert laboratory.receiver.arrivals == []
    assert (journal.lost, journal.sent) == (9, 0)
    assert all(notice.lost for notice in journal.notices.values())


async def test_a_duplicate_is_the_same_notice_stamped_and_signed_anew(build: Build) -> None:
    laboratory = await build(faults=Faults(duplicate=1.0))

    await whole_life(laboratory)

    journal = laboratory.emulator.journal
    assert (journal.duplicates_sent, journal.sent) == (9, 18)
    for notice in journal.notices.values():
        first, second = map(msgspec.json.decode, notice.bodies)
        assert notice.answers == [200, 200]
        assert second["notifyMs"] > first["notifyMs"]
        assert {**first, "notifyMs": 0} == {**second, "notifyMs": 0}
    assert laboratory.receiver.forged == 0


async def test_reordered_notices_overtake_each_other_and_all_arrive(build: Build) -> None:
    laboratory = await build(faults=Faults(reorder=1.0))

    await whole_life(laboratory)

    sequences = [arrival.sequence for arrival in laboratory.receiver.arrivals]
    assert sequences != sorted(sequences)
    assert sorted(sequences) == list(range(9))
    assert laboratory.emulator.journal.disordered > 0


async def test_a_delayed_notice_comes_late(build: Build) -> None:
    laboratory = await build(faults=Faults(delay=1.0, delay_seconds=3600.0))

    await whole_life(laboratory, step=20.0)

    lateness = [
        arrival.json["notifyMs"] - arrival.json["payload"]["sendts"]
        for arrival in laboratory.receiver.arrivals
    ]
    assert len(lateness) == 9
    assert max(lateness) > 600_000


@pytest.mark.parametrize(
    ("rule", "arrived"), [(0, []), (3, [40, 43, 44]), ("end", [40, 43, 44, 42, 4])]
)
async def test_a_muted_recording_falls_silent_and_no_other(
    build: Build, rule: int | str, arrived: list[int]
) -> None:
    laboratory = await build(faults=Faults(mute={"muted": rule}))

    await whole_life(laboratory, cname="muted")

    assert laboratory.receiver.event_types == arrived
    laboratory.receiver.arrivals.clear()
    await whole_life(laboratory, cname="other")
    assert len(laboratory.receiver.arrivals) == 9


async def test_faults_can_be_set_while_it_runs(laboratory: Laboratory) -> None:
    resource_id, sid = await laboratory.record()
    await laboratory.until_status(sid, IN_PROGRESS)
    await laboratory.settle()
    laboratory.emulator.faults = replace(laboratory.emulator.faults, mute={sid: "end"})

    await laboratory.stop(resource_id, sid)
    await laboratory.until_status(sid, GONE)

    assert laboratory.receiver.event_types == [40, 43, 44, 42, 4]
    assert laboratory.emulator.journal.lost == 4


async def test_callbacks_come_from_the_addresses_in_use(build: Build) -> None:
    sources = ("127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.24")
    laboratory = await build(sources=sources, published=2)
    for n in range(2):
        await whole_life(laboratory, cname=f"before{n}")
    before = {arrival.remote for arrival in laboratory.receiver.arrivals}
    laboratory.receiver.arrivals.clear()

    assert await laboratory.emulator.rotate_addresses() == sources[2:]

    for n in range(2):
        await whole_life(laboratory, cname=f"after{n}")
    after = {arrival.remote for arrival in laboratory.receiver.arrivals}
    assert before == {"127.0.0.21", "127.0.0.22"}
    assert after == {"127.0.0.23", "127.0.0.24"}
    notices = laboratory.emulator.journal.notices.values()
    assert {source for notice in notices for source in notice.sources} == set(sources)


async def test_addresses_rotate_by_themselves(build: Build) -> None:
    laboratory = await build(sources=("127.0.0.1", "127.0.0.2"), published=1, rotate_every=60.0)

    await laboratory.until(lambda: laboratory.emulator.addresses == ("127.0.0.2",), step=5.0)

    await laboratory.until(lambda: laboratory.emulator.addresses == ("127.0.0.1",), step=5.0)


@pytest.mark.parametrize("seed", [1, 7])
async def test_the_same_seed_makes_the_same_decisions(build: Build, seed: int) -> None:
    faults = Faults(lose=0.3, duplicate=0.3, reorder=0.3, backup=0.5)

    async def decisions() -> list[tuple[str, bool, int]]:
        laboratory = await build(seed=seed, faults=faults)
        for n in range(2):
            await whole_life(laboratory, cname=f"room{n}")
        notices = laboratory.emulator.journal.notices.values()
        return [(notice.notice_id, notice.lost, len(notice.bodies)) for notice in notices]

    first = await decisions()

    assert await decisions() == first
    assert {lost for _, lost, _ in first} == {True, False}


async def test_stopping_in_the_middle_leaves_nothing_running(build: Build) -> None:
    laboratory = await build(faults=Faults(delay=1.0, duplicate=1.0))
    for n in range(5):
        await laboratory.record(cname=f"room{n}")
    await laboratory.until(lambda: len(laboratory.emulator.journal.notices) >= 5)

    await laboratory.emulator.stop()

    await laboratory.emulator.settled()
