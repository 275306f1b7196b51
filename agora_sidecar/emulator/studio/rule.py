"""What a rule is (pure)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from agora_sidecar.emulator.studio.catalogue import Told
from agora_sidecar.emulator.studio.plan import Plan
from agora_sidecar.emulator.studio.task import Moment, Task

Happened = tuple[Task, Sequence[Told]]
"""The task afterwards, and what tells of it."""


class Rule(NamedTuple):
    """`due` is when it would happen next, infinite if not; `happen` is only called then."""

    due: Callable[[Plan, Task], float]
    happen: Callable[[Plan, Task, Moment], Happened]
