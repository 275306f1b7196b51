"""Renders `docs/api-rules.md` from the models: `python -m agora_sidecar.cli.api_rules`."""

from collections.abc import Iterator

from agora_sidecar.agora.calls import ACQUIRE, UPDATE_LAYOUT
from agora_sidecar.agora.recordings import MIX, MODES
from agora_sidecar.agora.requests import BODIES, StartClientRequest
from agora_sidecar.agora.requests.table import Row, names, rows

HEAD = """\
# Rules of the REST API's requests

Rendered from `agora_sidecar.agora.requests`:
`python -m agora_sidecar.cli.api_rules > docs/api-rules.md`.

The client and the gateway refuse a body that breaks one of these before it is sent, and tell all
that is wrong at once: the path, the rule, the JSON type that is there; never a value. `[]` is
every entry of an array. Where nothing is said, a rule is for every mode.

Each row is one test, which breaks this rule alone: of `tests/agora/test_requests.py`,
`test_each_rule_is_broken_alone_and_told_with_its_path[<call> <path>: <test>]`, with the modes in
parentheses where there are some. Client and gateway are held to the same rows.

Besides: a key that differs from a known one by its case alone is refused, as the vendor does not
read it. What is not named here passes untouched.

Conflicts between the vendor's pages are decided so: `maxIdleTime` up to 2,592,000 (30 days, as
the text says; the number there has a digit too few); `cname` below 64 bytes where a channel is
recorded, up to 128 for a page; `clientRequest` of `acquire` is required; `storageConfig` of
`update`, `sse` and `tag` are not; `backgroundConfig` is an Array everywhere; `vendor` 11 exists.
More decimals than six are rounded by the vendor and not refused, nor is a frame rate that it
replaces by 15. What the vendor alone can know is not looked at: whether a bucket, a key, a token
or a page works, and whether `region` and the storage's region are near each other.
"""


def render() -> str:
    """The whole document, as Markdown."""
    return "\n".join([HEAD, *(line for call in BODIES for line in _chapter(call)), ""])


def _chapter(call: str) -> Iterator[str]:
    model = BODIES[call]
    modes = (MIX,) if call == UPDATE_LAYOUT else MODES
    yield f"## {call}\n"
    if call == ACQUIRE:
        yield "`clientRequest.startParameter` is held to the rules of `start`'s `clientRequest`.\n"
    leave_out = StartClientRequest if call == ACQUIRE else None
    spellings = [
        f"`{path}` (also `{'`, `'.join(found.also)}`)"
        for path, found in names(model)
        if found.also and "startParameter" not in path
    ]
    if spellings:
        yield f"Sent under this name, whichever is given: {', '.join(spellings)}.\n"
    yield "| path | rule | only in | test |\n|---|---|---|---|"
    yield from map(_line, rows(model, modes=modes, leave_out=leave_out))
    yield ""


def _line(row: Row) -> str:
    where = "" if row.modes == MODES else ", ".join(row.modes)
    return f"| `{row.path}` | {row.text.replace('|', chr(92) + '|')} | {where} | {row.name} |"


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - this is what it is for
