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

    A required one that is not well makes the process unready; the others are only shown. Of those
    named by `one_of`, one that is well is enough.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._conditions: dict[str, Condition] = {}
        self._one_of: tuple[str, ...] = ()

    def expect(self, name: str, *, required: bool = True) -> None:
        """Name a dependency that has not answered yet."""
        self.report(name, "not checked yet", required=required)

    def one_of(self, *names: str) -> None:
        """Name dependencies that stand in for each other."""
        self._one_of = names
        for name in names:
            old = self._conditions.get(name)
            self.report(name, old.problem if old else "not checked yet", required=False)

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
        if self._one_of and all(self._conditions[name].problem for name in self._one_of):
            return False
        return not any(c.problem and c.required for c in self._conditions.values())

    def conditions(self) -> list[Condition]:
        """All conditions, in the order they were first named."""
        return list(self._conditions.values())
