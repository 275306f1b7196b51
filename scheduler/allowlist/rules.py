"""What the operator set: who is admitted, for how long, and what is odd. Values, no decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.holding import Oddities


@dataclass(frozen=True, slots=True)
class Rules:
    """What is admitted and for how long; `grace` and `poll_interval` in seconds."""

    grace: float
    poll_interval: float
    max_entries: int
    accept_reserved: bool
    also_allow: Mapping[str, Address]
    oddities: Oddities = field(default_factory=Oddities)

    @property
    def limit(self) -> int:
        """Addresses that targets are made for: a list, and as many that are leaving."""
        return 2 * self.max_entries
