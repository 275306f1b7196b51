"""What every target must do, whatever is behind it; one suite for all of them."""

from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_address
from itertools import count

import pytest

from scheduler.allowlist.plan import Current, Wish, expressible, plan
from scheduler.allowlist.targets import LeaseLostError, Permit, Target, TargetError

A, B = ip_address("101.36.1.1"), ip_address("101.36.1.2")
V6 = ip_address("2606:4700::1")


def lacks(target: Target, current: Current | None, wish: Wish) -> bool:
    return not plan(target.name, current, wish, form=target.form).empty


STEPS = 40
"""No target needs more for one small change."""


class TargetContract:
    """Subclasses bring a fixture `target`, and say what stands beside it and how it can break."""

    async def others(self) -> object:
        """What belongs to others beside the target, to be compared."""
        return None

    def broken_after(self, steps: int) -> AbstractContextManager[object]:
        """While it is open, the world behind the target fails after so many of its steps."""
        return nullcontext()

    async def test_nothing_is_there_at_first(self, target: Target) -> None:
        assert await target.read() is None

    async def test_what_was_applied_is_read_back(self, target: Target) -> None:
        for wish in ({A: None}, {A: None, B: None, V6: None}, {V6: None}, {B: None}):
            await target.apply(wish)
            current = await target.read()
            assert current is not None
            assert set(current.admitted) == set(wish)
            assert not lacks(target, current, wish)

    async def test_applying_twice_is_applying_once(self, target: Target) -> None:
        wish: Wish = {A: None, B: 60.0}
        await target.apply(wish)
        await target.apply(wish)
        current = await target.read()
        assert current is not None
        assert set(current.admitted) == {A, B}

    async def test_a_retiring_address_stays_admitted(self, target: Target) -> None:
        wish: Wish = {A: None, B: 60.0}
        await target.apply(wish)
        current = await target.read()
        assert current is not None
        assert not lacks(target, current, expressible(wish, timed=target.timed))
        assert current.admitted[A] is None
        if target.timed:
            left = current.admitted[B]
            assert left is not None
            assert 50.0 <= left <= 60.0

    async def test_an_address_goes_to_retiring_and_back(self, target: Target) -> None:
        for left in (None, 60.0, None):
            await target.apply({A: None, B: left})
            current = await target.read()
            assert current is not None
            assert (current.admitted[B] is None) == (left is None or not target.timed)

    async def test_an_empty_wish_is_refused_and_changes_nothing(self, target: Target) -> None:
        await target.apply({A: None})
        with pytest.raises(TargetError, match="empty"):
            await target.apply({})
        current = await target.read()
        assert current is not None
        assert set(current.admitted) == {A}

    async def test_nothing_changes_once_the_permit_has_ended(self, target: Target) -> None:
        await target.apply({A: None})
        with pytest.raises(LeaseLostError):
            await target.apply({A: None, B: None}, Permit("a-plan", 7, lambda: False))
        current = await target.read()
        assert current is not None
        assert set(current.admitted) == {A}

    async def test_what_belongs_to_others_is_untouched(self, target: Target) -> None:
        before = await self.others()
        await target.apply({A: None, B: None, V6: None})
        await target.apply({B: None})
        assert await self.others() == before
        await target.uninstall()
        assert await self.others() == before

    async def test_a_lease_lost_at_any_step_leaves_a_safe_list(self, target: Target) -> None:
        for steps in count():
            assert steps < STEPS
            await target.apply({A: None, B: None})
            left = iter(range(steps))
            permit = Permit("a-plan", 7, lambda left=left: next(left, None) is not None)
            try:
                await target.apply({B: None, V6: None}, permit)
            except LeaseLostError:
                await self.assert_safe(target)
            else:
                break
        await self.assert_done(target)

    async def test_a_failure_at_any_step_leaves_a_safe_list_and_can_be_repeated(
        self, target: Target
    ) -> None:
        for steps in count():
            assert steps < STEPS
            await target.apply({A: None, B: None})
            with self.broken_after(steps):
                try:
                    await target.apply({B: None, V6: None})
                except TargetError:
                    whole = False
                else:
                    whole = True
            await self.assert_safe(target)
            await target.apply({B: None, V6: None})
            await self.assert_done(target)
            if whole:
                break

    async def assert_safe(self, target: Target) -> None:
        """From {A, B} to {B, V6}: B was never gone, and nobody else is admitted."""
        current = await target.read()
        assert current is not None
        assert {B} <= set(current.admitted) <= {A, B, V6}

    async def assert_done(self, target: Target) -> None:
        current = await target.read()
        assert current is not None
        assert set(current.admitted) == {B, V6}
        assert not lacks(target, current, {B: None, V6: None})

    async def test_uninstalling_leaves_nothing_and_may_be_repeated(self, target: Target) -> None:
        await target.apply({A: None})
        await target.uninstall()
        assert await target.read() is None
        await target.uninstall()
