"""Bodies from tests/samples/agora; its README says where each comes from."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "samples" / "agora"


def sample(name: str) -> bytes:
    """One body as it would come over the wire."""
    return (FOLDER / f"{name}.json").read_bytes()


def json_sample(name: str) -> Any:
    """One body, decoded."""
    return json.loads(sample(name))
