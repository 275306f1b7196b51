import pytest

from tests.fuzz.__main__ import run

pytestmark = pytest.mark.integration


@pytest.mark.timeout(120)
async def test_what_nobody_should_send_harms_nobody() -> None:
    tally, wrong = await run(10_000, 1, quiet=True)
    assert wrong == []
    assert tally.answers["200 stored"] > 500
    assert tally.answers["200 quarantined"] > 500


@pytest.mark.slow
@pytest.mark.timeout(1500)
async def test_a_million_of_them_neither() -> None:
    _, wrong = await run(1_000_000, 2, quiet=True)
    assert wrong == []
