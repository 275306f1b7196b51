"""`docs/emulator.md` names everything that can be asked of the emulator, and nothing else."""

import re
from dataclasses import fields
from pathlib import Path

from agora_sidecar.emulator.faults import ADDRESS_LISTS, Faults
from agora_sidecar.emulator.openapi import document
from agora_sidecar.emulator.studio.deaths import DEATHS

TEXT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
QUOTED = set(re.findall(r"`([a-z_]+)`", TEXT))


def test_every_fault_and_odd_list_is_named() -> None:
    names = {field.name for field in fields(Faults)}

    assert names | set(ADDRESS_LISTS) <= QUOTED


def test_every_death_is_named() -> None:
    assert set(DEATHS) <= QUOTED


def test_every_own_path_is_named() -> None:
    paths = {path for path in document()["paths"] if path.startswith("/emulator/")}
    named = set(re.findall(r"(?:GET|POST|DELETE) (/emulator/[^`?\s]+)", TEXT))

    assert named == paths
