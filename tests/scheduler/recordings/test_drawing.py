from pathlib import Path

import pytest

from scheduler.recordings.drawing import mermaid, table
from scheduler.recordings.session import TRANSITIONS, Reading, State

DOCUMENT = (Path(__file__).parents[3] / "docs" / "recordings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("drawn", [mermaid(), table()], ids=["diagram", "table"])
def test_the_document_shows_the_table_of_the_code(drawn: str) -> None:
    assert drawn in DOCUMENT, f"put this into docs/recordings.md:\n{drawn}"


def test_every_move_of_the_table_is_an_arrow() -> None:
    arrows = [line.split(": ") for line in mermaid().splitlines() if ": " in line]
    drawn = {(path.strip(), one) for path, readings in arrows for one in readings.split(", ")}

    assert drawn == {
        (f"{source} --> {target}", reading.value)
        for reading in Reading
        for source, target in zip(State, TRANSITIONS[reading], strict=True)
        if target not in {None, source}
    }


def test_the_table_has_every_reading() -> None:
    assert [line.split("`")[1] for line in table().splitlines()[2:]] == list(Reading)
