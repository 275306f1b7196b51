from pathlib import Path

from agora_sidecar.cli.api_rules import render

WRITTEN = Path(__file__).parents[2] / "docs" / "api-rules.md"


def test_the_document_of_the_rules_is_what_the_models_say() -> None:
    assert WRITTEN.read_text() == render(), (
        "render it again: python -m agora_sidecar.cli.api_rules > docs/api-rules.md"
    )
