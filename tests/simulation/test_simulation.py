"""The proof as a test: a few small seeds always, whole ones in the long run; `make simulate` more."""

from dataclasses import replace

import pytest

from tests.simulation.sabotage import DAMAGE
from tests.simulation.seed import Options, run_seed

SIZE = 40
FEW = Options(recordings=12)
OFTEN = ("what is silent is stopped", "what was told is forgotten")
"""Broken rules that are looked for always; the others in the long run."""


@pytest.mark.parametrize("seed", [1, 9])
def test_every_recording_is_closed_once_and_none_that_runs(seed: int) -> None:
    result = run_seed(seed, Options(recordings=SIZE))

    assert result.failures == {}, result.timeline
    assert result.closed >= 36
    assert result.counts["notices lost"] > 100


@pytest.mark.parametrize("seed", [5, 35])
def test_nor_where_few_run_and_the_vendor_finds_none_for_long(seed: int) -> None:
    result = run_seed(seed, FEW)

    assert result.failures == {}, result.timeline


@pytest.mark.slow
def test_which_would_be_told_closed_if_it_were_believed() -> None:
    believing = run_seed(35, replace(FEW, sabotage="a wave of 404s is believed"))

    assert "wrong ends" in believing.failures


def test_nor_does_it_take_a_single_callback() -> None:
    result = run_seed(2, Options(recordings=30, lose=1.0))

    assert result.failures == {}, result.timeline
    assert result.counts["notices"] == result.counts["notices lost"]


def test_a_seed_is_the_same_in_every_run() -> None:
    first, again = (run_seed(1, Options(recordings=15)) for _ in range(2))

    assert first.counts == again.counts
    assert (first.took, first.lasted) == (again.took, again.lasted)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in DAMAGE],
)
def test_a_rule_that_is_broken_is_found_out(name: str) -> None:
    """Each on purpose: a proof that cannot fail proves nothing."""
    _, kind, seed = DAMAGE[name]

    size = SIZE if name in OFTEN else 3 * SIZE

    result = run_seed(seed, Options(recordings=size, sabotage=name))

    assert kind in result.failures
    assert result.timeline


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("lose", [0.3, 1.0])
def test_twenty_whole_seeds(lose: float) -> None:
    for seed in range(101, 121):
        result = run_seed(seed, Options(lose=lose))
        assert result.failures == {}, f"seed {seed}\n{result.timeline}"
