"""Connections to Redis or Valkey, and what this server can do. The only importer of redis.

Redis slow, gone or lying: every command has a deadline (`timeout`), is tried once, and fails with
`StoreError`; the caller decides whether to try again. A connection that the server closed while
idle is replaced without a word (redis-py looks at a pooled connection before it uses it).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

__all__ = [
    "AsyncScript",
    "Durability",
    "NoScriptError",
    "Redis",
    "ResponseError",
    "StoreError",
    "connect",
    "durability",
    "store_errors",
]


class StoreError(Exception):
    """Redis did not do what it was asked: unreachable, too slow, or it refused.

    `kind` is a short word for logs and metrics: the server's own error word (`OOM`, `READONLY`, …)
    in lower case, or `unreachable`.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


# The driver takes these words away from the message
_KINDS: dict[type[RedisError], str] = {
    OutOfMemoryError: "oom",
    ReadOnlyError: "readonly",
    BusyLoadingError: "loading",
    NoPermissionError: "noperm",
    AuthenticationError: "noauth",
}


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn the library's errors into `StoreError`."""
    try:
        yield
    except tuple(_KINDS) as error:  # before the classes they derive from
        kind = next(kind for known, kind in _KINDS.items() if isinstance(error, known))
        raise StoreError(kind, str(error)) from error
    except ResponseError as error:
        text = str(error)
        word = text.split(" ", 1)[0]
        raise StoreError(word.lower() if word.isupper() else "refused", text) from error
    except (RedisError, OSError, TimeoutError) as error:
        # a login that is refused comes as a connection that failed because of it
        refused = isinstance(error.__cause__, AuthenticationError)
        kind = "noauth" if refused else "unreachable"
        raise StoreError(kind, str(error) or type(error).__name__) from error


def connect(url: str, *, timeout: float = 5.0, connections: int = 32) -> Redis:
    """A client for `redis://`, `rediss://` or `unix://`; connects when first used.

    Each command has `timeout` seconds; a command that may block must be given a shorter time to
    block. Values come back as bytes.

    Raises:
        ValueError: the address is not one of these.
    """
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must be redis://, rediss:// or unix://")
    client: Redis = Redis.from_url(
        url,
        protocol=2,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 3.0),
        max_connections=connections,
        # One attempt: whoever asked knows better than the driver whether there is time for another
        retry=Retry(NoBackoff(), 0),
    )
    return client


@dataclass(frozen=True, slots=True)
class Durability:
    """How safe an acknowledged write is in this server, and what keeps it from being safer.

    `level` is `redis-fsync` (on disk before the reply) or `redis-memory`.
    """

    level: str
    why: str
    facts: dict[str, str]


async def durability(client: Redis) -> Durability:
    """Look at persistence, eviction and role.

    Raises:
        StoreError: the server did not answer.
    """
    facts = await _facts(client)
    problems = []
    if facts.get("aof_enabled") != "1":
        problems.append("appendonly is off: a crash loses what was acknowledged")
    elif facts.get("appendfsync") is None:
        problems.append("CONFIG GET is not allowed: cannot tell whether appendfsync is always")
    elif facts["appendfsync"] != "always":
        problems.append(f"appendfsync is {facts['appendfsync']}: a crash loses the last second")
    if facts.get("no-appendfsync-on-rewrite") == "yes":
        problems.append("no-appendfsync-on-rewrite is yes: no fsync while the file is rewritten")
    if facts.get("aof_last_write_status", "ok") != "ok":
        problems.append("the last append to the file failed")
    return Durability("redis-memory" if problems else "redis-fsync", "; ".join(problems), facts)


async def _facts(client: Redis) -> dict[str, str]:
    with store_errors():
        info: dict[str, Any] = await client.info()
    wanted = ("redis_version", "valkey_version", "role", "aof_enabled", "aof_last_write_status")
    facts = {name: str(info[name]) for name in wanted if name in info}
    try:
        with store_errors():
            found = await client.config_get(
                "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy", "maxmemory"
            )
    except StoreError:
        return facts  # a managed server, or an ACL, may not allow CONFIG
    return facts | {_text(name): _text(value) for name, value in found.items()}


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
