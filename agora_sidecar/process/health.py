"""What a process depends on, and since when each is as it is."""

from dataclasses import dataclass

from agora_sidecar.process.clock import Clock


@dataclass(frozen=True, slots=True)
class Condition:
    """One dependency: `problem` is empty when it is well; `since` is Unix seconds."""

    name: str
    problem: str
    since: float
    required: bool


class Health:
    """The conditions of one process's dependencies.

    A required one that is not well makes the process unready; the others are only shown.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._conditions: dict[str, Condition] = {}

    def expect(self, name: str, *, required: bool = True) -> None:
        """Name a dependency that has not answered yet."""
        self.report(name, "not checked yet", required=required)

    def report(self, name: str, problem: str = "", *, required: bool | None = None) -> bool:
        """Say how a dependency is; true when it just became well or unwell."""
        old = self._conditions.get(name)
        if required is None:
            required = old.required if old else True
        changed = old is None or bool(old.problem) != bool(problem)
        since = self._clock.now() if old is None or changed else old.since
        self._conditions[name] = Condition(name, problem, since, required)
        return changed

    @property
    def ready(self) -> bool:
        """Whether everything required is well."""
        return not any(c.problem and c.required for c in self._conditions.values())

    def conditions(self) -> list[Condition]:
        """All conditions, in the order they were first named."""
        return list(self._conditions.values())
