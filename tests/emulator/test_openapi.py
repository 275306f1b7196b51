"""The OpenAPI document against the code, and the emulator against the document."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agora_sidecar.emulator import openapi
from agora_sidecar.emulator.emulator import Emulator
from agora_sidecar.emulator.options import EmulatorOptions
from tests.emulator.laboratory import Laboratory

SHIPPED = Path(__file__).parents[2] / "docs" / "emulator-openapi.json"
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,ignored_auth"
)
VENDOR, CONTROL, ALL = "^/v", "^/emulator/(?!faults|script)", "^/(v|emulator/(?!faults|script))"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Its own clock, faster: recordings live and die while they are asked for."""
    emulator = Emulator(EmulatorOptions(speed=100.0, requests_per_second=1_000_000.0))
    yield emulator
    await emulator.stop()


def test_the_document_that_is_shipped_is_the_one_of_the_code() -> None:
    assert SHIPPED.read_text() == openapi.text(), (
        "run: python -m agora_sidecar.emulator.openapi > docs/emulator-openapi.json"
    )


async def test_it_is_served_and_names_every_route_and_no_other(laboratory: Laboratory) -> None:
    _, document = await laboratory.call("GET", "/emulator/openapi.json", auth=None)

    assert document == json.loads(SHIPPED.read_text())
    documented = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    routes = {
        (route.method, route.resource.canonical)
        for route in laboratory.emulator.routes
        if route.resource is not None
    }
    regional = re.compile(r"^/(cn|eu|ap|na|us)/v")
    assert {route for route in routes if not regional.match(route[1])} == documented
    assert len([route for route in routes if regional.match(route[1])]) == 5 * 8


@pytest.mark.timeout(120)
async def test_schemathesis_finds_no_undeclared_answer_and_no_500(
    emulator: Emulator, tmp_path: Path
) -> None:
    await explore(emulator, ALL, folder=tmp_path, phases=("fuzzing", "stateful"), examples=3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("paths", [VENDOR, CONTROL])
async def test_schemathesis_looks_longer(emulator: Emulator, paths: str, tmp_path: Path) -> None:
    phases = ("examples", "coverage", "fuzzing", "stateful")
    await explore(emulator, paths, folder=tmp_path, phases=phases, examples=60)


async def explore(
    emulator: Emulator, paths: str, *, folder: Path, phases: tuple[str, ...], examples: int
) -> None:
    if paths == CONTROL:  # nothing follows from its answers
        phases = tuple(phase for phase in phases if phase != "stateful")
    url = await emulator.start()
    options = emulator.options
    with capture_logs() as logs:
        process = await asyncio.create_subprocess_exec(
            *(str(SCHEMATHESIS), "run", f"{url}/emulator/openapi.json"),
            *("--include-path-regex", paths, "--checks", CHECKS, "--phases", ",".join(phases)),
            *("--auth", f"{options.customer_id}:{options.customer_secret}"),
            *("--max-examples", str(examples), "--seed", "1", "--no-color"),
            *("--generation-database", "none", "--suppress-health-check", "all"),
            cwd=folder,  # it keeps what it found
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()

    assert process.returncode == 0, said.decode()
    failed = [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    assert failed == []
    if paths != CONTROL:
        assert {"acquire", "start", "update", "stop"} <= set(emulator.journal.calls)
        assert emulator.journal.recordings
