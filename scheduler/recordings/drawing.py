"""The table of transitions as pictures for the documents. Pure."""

from collections.abc import Iterator

from scheduler.recordings.session import TRANSITIONS, Reading, State


def mermaid() -> str:
    """A state diagram: each arrow has the readings that move a recording along it."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.STARTING}"]
    lines += [
        f"    {source} --> {target}: {', '.join(readings)}"
        for source, target, readings in _arrows()
    ]
    return "\n".join([*lines, f"    {State.CLOSED} --> [*]"])


def table() -> str:
    """The whole table: a row for each reading, a column for each state it may meet."""
    head = ["reading", *(f"from `{state}`" for state in State)]
    rows = [
        [f"`{reading}`", *(_cell(state, target) for state, target in _targets(reading))]
        for reading in Reading
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _targets(reading: Reading) -> Iterator[tuple[State, State | None]]:
    return zip(State, TRANSITIONS[reading], strict=True)


def _arrows() -> Iterator[tuple[State, State, list[str]]]:
    for source in State:
        for target in State:
            readings = [
                reading.value
                for reading in Reading
                if (source, target) in set(_targets(reading)) and source is not target
            ]
            if readings:
                yield source, target, readings


def _cell(state: State, target: State | None) -> str:
    if target is None:
        return "never"
    return "·" if target is state else f"`{target}`"
