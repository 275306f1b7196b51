"""Any course of answers, clocks, crashes, orders and foreign hands: what must hold, holds."""

import asyncio
import json
import shutil
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from scheduler.allowlist.guard import why_refused
from scheduler.allowlist.holding import Oddities
from scheduler.allowlist.mailbox import Request
from scheduler.allowlist.operating import Operating
from tests.fakes.syncs import World

GRACE, MAX = 1000.0, 8
POOL = [f"8.8.4.{n}" for n in range(12)] + [f"2606:4700::{n:x}" for n in range(1, 5)]
BOGONS = ["10.0.0.1", "0.0.0.0/0", "127.0.0.1", "::1", "::ffff:8.8.8.8", "2002::1", "8.8.8.0/24"]
JUNK = [*BOGONS, 7, None, True, "", "8.8.8.8%1", " 8.8.8.8", "８.8.8.8", {"a": 1}]
LISTS = st.lists(st.sampled_from(POOL), min_size=1, max_size=MAX, unique=True)
ODD = [b"", b"<html>", b"null", b"[]", b'{"data":{"service":{"hosts":[]}}}', b"\xff", b"{" * 2000]


class Course(RuleBasedStateMachine):
    """`listed`: the last good answer; `since`: address -> seconds it was absent since it was so."""

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(
            self.folder,
            POOL[0],
            grace=GRACE,
            max_entries=MAX,
            oddities=Oddities(growth=1000.0, turnovers=32),
        )
        self.listed = {POOL[0]}
        self.ever = {POOL[0]}
        self.absent: dict[str, int] = {}
        self.gone_for: dict[str, float] = {}
        self.frozen = False

    def teardown(self) -> None:
        shutil.rmtree(self.folder)
        structlog.reset_defaults()

    def do(self, work: Any) -> Any:
        return asyncio.run(work)

    def poll(self) -> None:
        self.do(self.world.sync.run_once())

    def no_other_than(self, before: set[str]) -> bool:
        """Whether those are admitted, but for whose grace is over: it is over without an answer."""
        over = {address for address, seconds in self.gone_for.items() if seconds >= GRACE}
        return before - over <= self.world.admitted() <= before

    @initialize()
    def begin(self) -> None:
        self.poll()

    @rule(listed=LISTS, junk=st.lists(st.sampled_from(JUNK), max_size=3))
    def the_vendor_says(self, listed: list[str], junk: list[Any]) -> None:
        self.world.list.say(*listed, *junk)
        self.poll()
        self.listed = set(listed)
        self.ever |= self.listed
        for address in self.ever - self.listed:
            # from an answer with junk in it nobody is counted as absent
            self.absent[address] = self.absent.get(address, 0) + (not junk)
        for address in self.listed:
            self.absent[address] = 0
            self.gone_for.pop(address, None)
        for address, times in self.absent.items():
            if times >= 3:
                self.gone_for.setdefault(address, 0.0)

    @rule(body=st.sampled_from(ODD))
    def an_odd_answer(self, body: bytes) -> None:
        before = self.world.admitted()
        self.world.list.answer(body)
        self.poll()
        assert self.frozen or self.no_other_than(before)

    @rule()
    def only_junk(self) -> None:
        before = self.world.admitted()
        self.world.list.say(*JUNK)
        self.poll()
        assert self.frozen or self.no_other_than(before)

    @rule(count=st.integers(MAX + 1, 200))
    def far_too_many(self, count: int) -> None:
        before = self.world.admitted()
        self.world.list.say(*[f"9.9.{n // 200}.{n % 200}" for n in range(count)])
        self.poll()
        assert self.frozen or self.no_other_than(before)

    @rule(seconds=st.sampled_from([1.0, 60.0, 400.0, 999.0, 1500.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        for address in self.gone_for:
            self.gone_for[address] += seconds

    @rule(seconds=st.sampled_from([-1e6, -500.0, 500.0, 1e6]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.world.clock.jump_for_test(seconds)

    @rule(keep=st.sampled_from(["all", "torn", "lost"]))
    def killed_and_started(self, keep: str) -> None:
        book = self.folder / "book"
        if keep == "torn":
            book.write_bytes(book.read_bytes()[:-7])
        elif keep == "lost":
            book.unlink(missing_ok=True)
        if keep != "all":
            # who was retiring is active anew, until three good polls say otherwise
            for address in self.world.admitted():
                self.absent.pop(address, None)
                self.gone_for.pop(address, None)
        self.world.start()
        self.do(self.world.sync.apply_last_known_good())

    @rule(address=st.sampled_from(["6.6.6.6", "77.7.7.7"]))
    def somebody_adds_one(self, address: str) -> None:
        self.world.target.edit_for_test({ip_address(address): None})
        self.do(self.world.sync.bring_in_line(cause="drift"))
        assert self.frozen or address not in self.world.admitted()

    @rule()
    def somebody_takes_the_target_away(self) -> None:
        if not self.frozen:
            self.world.target.current = None
            self.do(self.world.sync.bring_in_line(cause="drift"))

    @rule(kind=st.sampled_from(["apply", "unfreeze", "open", "close", "poll"]))
    def the_operator_orders(self, kind: str) -> None:
        request = Request(kind, self.world.clock.now(), seconds=60.0)
        self.do(Operating(self.world.sync, clock=self.world.clock).carry_out(request))

    @invariant()
    def it_is_never_empty(self) -> None:
        assert self.world.admitted()

    @invariant()
    def nothing_is_admitted_that_is_not_public_or_was_never_listed(self) -> None:
        admitted = self.world.admitted()
        assert admitted <= self.ever
        assert not [a for a in admitted if why_refused(a)]
        assert len(admitted) <= 2 * MAX

    @invariant()
    def nobody_who_is_listed_is_missing(self) -> None:
        assert self.listed <= self.world.admitted()

    @invariant()
    def nobody_is_removed_before_three_polls_and_a_grace(self) -> None:
        """Unless `max_entries` made room for those who are listed now."""
        if len(self.ever) > 2 * MAX:
            return
        for address in self.ever - self.world.admitted():
            assert self.absent.get(address, 0) >= 3
            assert self.gone_for[address] >= GRACE

    @invariant()
    def what_is_on_disk_can_be_read(self) -> None:
        for path in self.folder.glob("revisions/[0-9]*"):
            json.loads(path.read_bytes().split(b"\n", 1)[1])


Course.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestCourse = Course.TestCase


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_in_long_courses_as_well() -> None:
    long = settings(
        max_examples=200,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    run_state_machine_as_test(Course, settings=long)
