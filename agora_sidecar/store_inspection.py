"""What a store's own words say of its safety: persistence, replicas, eviction. Pure.

Each primary is judged by itself; a Cluster is as safe as its worst one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LEVELS = ("redis-memory", "redis-fsync")
"""From the less safe to the safer."""

Facts = Mapping[str, str]
"""What one server says of itself: fields of INFO and CONFIG GET, under their names."""

INFO = (
    *("redis_version", "valkey_version", "role", "run_id", "connected_slaves"),
    *("aof_enabled", "aof_last_write_status", "rdb_last_save_time"),
    *("used_memory", "maxmemory"),
)
"""Fields of INFO that are facts."""
CONFIG = (
    *("appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy", "maxmemory"),
    *("min-replicas-to-write", "min-replicas-max-lag"),
)
"""Settings that are facts, where CONFIG GET is allowed."""

_SINCE = {"scripts": (2, 6), "waitaof": (7, 2)}
"""Since which version of Redis; Valkey tells its Redis version as well."""


@dataclass(frozen=True, slots=True)
class Durability:
    """How safe an acknowledged write is in this store, and what keeps it from being safer.

    `level` is `redis-fsync` (on disk before the reply) or `redis-memory`, and `why` says why it is
    not the former. `warnings` are other things that lose entries or refuse them. `replicated`: a
    fail-over may lose what was acknowledged. Another `identity`: another server, or restarted.
    """

    level: str
    why: str
    facts: dict[str, str]
    warnings: tuple[str, ...] = ()
    replicated: bool = False
    identity: str = ""

    @property
    def judgement(self) -> tuple[object, ...]:
        """All but the facts, which change all the time."""
        return self.level, self.why, self.warnings, self.replicated, self.identity


def judge(primaries: Mapping[str, Facts], *, replicated: bool) -> Durability:
    """What these primaries together promise; the keys name them.

    `replicated`: something fails over from them even where they have no replica now.
    """
    why = _together({name: _problems(facts) for name, facts in primaries.items()})
    warnings = _together({name: _warnings(facts) for name, facts in primaries.items()})
    return Durability(
        level=LEVELS[not why],
        why="; ".join(why),
        facts=_merged(primaries),
        warnings=tuple(warnings),
        replicated=replicated
        or any(facts.get("connected_slaves", "0") != "0" for facts in primaries.values()),
        identity="+".join(sorted(facts.get("run_id", "") for facts in primaries.values())),
    )


def abilities(version: str) -> dict[str, str]:
    """Whether a server of this version has scripts and WAITAOF: yes or no."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    return {name: "yes" if numbers >= since else "no" for name, since in _SINCE.items()}


def _problems(facts: Facts) -> list[str]:
    found = []
    if facts.get("aof_enabled") != "1":
        found.append("appendonly is off: a crash loses what was acknowledged")
    elif facts.get("appendfsync") is None:
        found.append("CONFIG GET is not allowed: cannot tell whether appendfsync is always")
    elif facts["appendfsync"] != "always":
        found.append(f"appendfsync is {facts['appendfsync']}: a crash loses the last second")
    if facts.get("no-appendfsync-on-rewrite") == "yes":
        found.append("no-appendfsync-on-rewrite is yes: no fsync while the file is rewritten")
    if facts.get("aof_last_write_status", "ok") != "ok":
        found.append("the last append to the file failed")
    return found


def _warnings(facts: Facts) -> list[str]:
    found = []
    policy, limit = facts.get("maxmemory-policy", "noeviction"), facts.get("maxmemory", "0")
    if policy != "noeviction" and limit != "0":
        found.append(
            f"maxmemory-policy is {policy}: under memory pressure the store drops marks or the "
            "stream itself; set noeviction"
        )
    if facts.get("role", "master") != "master":
        found.append("the server is a replica: it refuses every write")
    return found


def _together(told: Mapping[str, list[str]]) -> list[str]:
    """Each sentence once; who says it is added where not all do."""
    sayers: dict[str, list[str]] = {}
    for name, sentences in told.items():
        for sentence in sentences:
            sayers.setdefault(sentence, []).append(name)
    return [
        sentence if len(names) == len(told) else f"{', '.join(names)}: {sentence}"
        for sentence, names in sayers.items()
    ]


def _merged(primaries: Mapping[str, Facts]) -> dict[str, str]:
    merged = {
        name: ", ".join(sorted({f[name] for f in primaries.values() if name in f}))
        for name in dict.fromkeys(name for facts in primaries.values() for name in facts)
    }
    return merged if len(primaries) == 1 else merged | {"primaries": str(len(primaries))}
