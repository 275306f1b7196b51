"""How long the spool keeps a copy of what the store took: pure.

A store that answers only after an fsync, and is alone, forgets nothing: no copies. One with
replicas may fail over to a replica that had not heard of the last writes; one that does not fsync
may crash. What it forgot is then offered again, which the once-only key makes harmless.
"""

from dataclasses import dataclass

from agora_sidecar.store import Durability

EVERYSEC = 10.0
"""Seconds. `appendfsync everysec` may be two seconds behind; the rest is for finding out."""


@dataclass(frozen=True, slots=True)
class Copies:
    """`keep`: seconds after the store took an event; 0: none. `of_all`: also of what went straight
    to the store; otherwise of what came through the spool.
    """

    keep: float
    of_all: bool = False


def copies_for(found: Durability, *, shadow: float, window: float) -> Copies:
    """What must be kept for a store as it was found.

    Args:
        found: what the store says of itself.
        shadow: seconds, for a store with replicas.
        window: seconds that a store without any file may take to come back empty and be filled
            again; how long a notice is remembered.
    """
    lasting = 0.0
    if found.level != "redis-fsync":
        lasting = EVERYSEC if found.facts.get("aof_enabled") == "1" else window
    if found.replicated:
        return Copies(max(lasting, shadow), of_all=shadow > 0)
    return Copies(lasting)
