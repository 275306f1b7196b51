"""The benchmarks run and count; no time that they find is judged here."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.__main__ import parser
from tests.bench.latency import percentile

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(90)]


async def bench(*words: str, report: Path) -> Any:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench", *words, "--json", str(report)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(80):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode == 0, err.decode() + out.decode()
    return json.loads(report.read_text())


async def test_latency_and_memory_come_out_and_nothing_is_lost(tmp_path: Path) -> None:
    latency, memory = await asyncio.gather(
        bench(
            *("latency", "--seconds", "1", "--rate", "100", "--only", "fsync", "stopped-500ms"),
            report=tmp_path / "latency.json",
        ),
        bench("memory", "--events", "2000", "--rounds", "1", report=tmp_path / "memory.json"),
    )

    assert latency["situations"].keys() == {"fsync", "stopped-500ms"}
    for row in latency["situations"].values():
        assert row["statuses"] == {"200": 100}
        assert (row["lost"], row["twice"]) == (0, 0)
        assert 0 < row["ms"]["50"] <= row["ms"]["99"] <= row["ms"]["100"]
    assert memory["events"] == memory["stored"] == 2000
    assert memory["at_rest_mib"] > 0
    assert memory["ready_s"] > 0


async def test_a_round_of_recordings_asks_about_those_that_are_due(tmp_path: Path) -> None:
    words = ("recordings", "--open", "200", "400", "--rounds", "2")
    found = await bench(*words, report=tmp_path / "recordings.json")

    assert [(row["open"], row["asked"]) for row in found["rows"]] == [(200, 200), (400, 200)]
    assert found["at_rest_mib"] > 0


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = [float(n) for n in range(1, 1001)]

    assert [percentile(values, p) for p in (50, 99, 99.9, 100)] == [500, 990, 999, 1000]


@pytest.mark.parametrize("words", [("latency", "--rate", "0"), ("memory", "--events", "x")])
def test_a_number_that_makes_no_sense_is_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(words)

    assert f"argument {words[1]}: {words[2]}: write a" in capsys.readouterr().err
