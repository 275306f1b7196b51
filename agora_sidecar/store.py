"""Connections to Redis or Valkey, and what they can do. The door to redis.

Redis slow, gone or lying: every command has a deadline (`timeout`), is tried once, and fails with
`StoreError`; the caller decides whether to try again. A connection that the server closed while
idle is replaced without a word (redis-py looks at a pooled connection before it uses it).

Behind Sentinel every new connection asks for the master, and one whose master was demoted is
dropped. In a Cluster the driver follows MOVED and ASK; whatever else fails makes the next command
look at the slots anew.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from typing import Any, TypeAlias

from redis.asyncio import Redis as Server
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)

from agora_sidecar.store_address import Address, read_address
from agora_sidecar.store_cluster import Cluster
from agora_sidecar.store_inspection import CONFIG, INFO, Durability, abilities, judge

__all__ = [
    "Durability",
    "Redis",
    "ResponseError",
    "Script",
    "StoreError",
    "connect",
    "durability",
    "ping",
    "store_errors",
]

Redis: TypeAlias = Server | RedisCluster
"""A client of one server, of a master behind Sentinel, or of a Cluster."""


class StoreError(Exception):
    """Redis did not do what it was asked: unreachable, too slow, or it refused.

    `kind` is a short word for logs and metrics: the server's own error word (`OOM`, `READONLY`, …)
    in lower case, `nomaster` (Sentinels know none), `refused` or `unreachable`.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


# The driver takes these words away from the message; a class stands before those it derives from
_KINDS: dict[type[Exception], str] = {
    OutOfMemoryError: "oom",
    ReadOnlyError: "readonly",
    BusyLoadingError: "loading",
    NoPermissionError: "noperm",
    AuthenticationError: "noauth",
    MasterNotFoundError: "nomaster",
    ClusterDownError: "clusterdown",
    SlotNotCoveredError: "clusterdown",
    TryAgainError: "tryagain",
    ClusterError: "tryagain",  # redirected too often: the slot is on its way to another node
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
        kind = "noperm" if word == "ACL" else word.lower()  # Valkey, of a command in a script
        raise StoreError(kind if word.isupper() else "refused", text) from error
    except RedisClusterException as error:
        # No node answered, each with an error of its own; or keys of different slots
        kind = "refused" if error.__cause__ is None else _unreachable(error)
        raise StoreError(kind, str(error)) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreError(_unreachable(error), str(error) or type(error).__name__) from error
    except RuntimeError as error:
        # what uvloop says, through the driver, of a connection that was cut while it was written to
        if "handler is closed" not in str(error):
            raise
        raise StoreError("unreachable", "the connection was cut") from error


def _unreachable(error: Exception) -> str:
    """A login that is refused comes as a connection that failed because of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AuthenticationError):
            return "noauth"
        cause = cause.__cause__
    return "unreachable"


def connect(
    url: str,
    *,
    timeout: float = 5.0,
    connections: int = 32,
    on_connect: Callable[[], None] | None = None,
) -> Redis:
    """A client for one server, Sentinel or a Cluster (see `store_address`); connects when used.

    Each command has `timeout` seconds; a command that may block must be given a shorter time to
    block. `connections` is the most there are to one server. Values come back as bytes.
    `on_connect` is told of each new connection before anything is asked over it: what answers there
    may be another server than before, or the same one with another configuration.

    Raises:
        ValueError: the address is none of these; the text does not repeat it.
    """
    address = read_address(url)
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, 3.0),
        # One attempt: whoever asked knows better than the driver whether there is time for another
        "retry": Retry(NoBackoff(), 0),
    }
    tell = _telling(on_connect) if on_connect else {}
    if address.kind == "sentinel":
        return _master(address, options | tell, connections=connections)
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        given = _given(address) | options | {"max_connections": connections}
        return Cluster(startup_nodes=nodes, deadline=timeout, tell=tell, **given)
    given = options | tell | {"max_connections": connections}
    client: Server = Server.from_url(address.url, **given)
    return client


def _telling(on_connect: Callable[[], None]) -> dict[str, Any]:
    async def connected(connection: Any) -> None:
        on_connect()
        await connection.on_connect()  # what the driver does where nobody is told

    return {"redis_connect_func": connected}


def _given(address: Address) -> dict[str, Any]:
    """Login, database and TLS in the driver's words; where to is somebody else's business."""
    given: dict[str, Any] = dict(parse_url(address.url))
    if address.url.startswith("rediss"):
        given["ssl"] = True
    for name in ("host", "port", "connection_class"):
        given.pop(name, None)
    return given


def _master(address: Address, options: dict[str, Any], *, connections: int) -> Server:
    given = _given(address)
    tls = {name: value for name, value in given.items() if name.startswith("ssl")}
    # They are asked one after the other: all of them together within the time of one command
    each = options["socket_timeout"] / len(address.hosts)
    asked = options | {"socket_timeout": each, "socket_connect_timeout": each}
    asked.pop("redis_connect_func", None)
    login = {"username": address.sentinel_username, "password": address.sentinel_password}
    sentinels: Any = Sentinel
    client: Server = sentinels(address.hosts, sentinel_kwargs=asked | tls | login).master_for(
        address.master,
        connection_pool_class=_MasterPool,
        **(given | options | {"max_connections": connections}),
    )
    return client


class _MasterPool(SentinelConnectionPool):
    """Connections to the master; closes those to the Sentinels too, which the driver forgets."""

    async def get_master_address(self) -> tuple[str, int]:
        ask: Any = super().get_master_address
        try:
            address: tuple[str, int] = await ask()
        except MasterNotFoundError as error:
            # the driver's own text prints every client at length
            login = "; one refused its login" if "AuthenticationError" in str(error) else ""
            told = f"no Sentinel knows a master {self.service_name!r} that is up{login}"
            raise MasterNotFoundError(told) from error
        return address

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002
        await super().disconnect(inuse_connections)
        if inuse_connections:  # else it goes on with another master
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


class Script:
    """A script; a server that does not know it, or lost it, is told.

    The driver's own is told to every primary, so one that is gone would keep all others from it.
    """

    def __init__(self, client: Redis, source: str) -> None:
        self._client = client
        self._source = source
        self._sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, *, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it once; in a Cluster, the keys are of one slot.

        Raises:
            StoreError: it may have run.
        """
        run: Any = self._client.execute_command
        with store_errors():
            try:
                return await run("EVALSHA", self._sha, len(keys), *keys, *args)
            except NoScriptError:
                return await run("EVAL", self._source, len(keys), *keys, *args)


async def ping(client: Redis) -> None:
    """Look whether every primary answers.

    Raises:
        StoreError: one did not.
    """
    cluster = isinstance(client, RedisCluster)
    with store_errors():
        await client.ping(**({"target_nodes": RedisCluster.PRIMARIES} if cluster else {}))


async def durability(client: Redis) -> Durability:
    """Look at persistence, replicas, eviction and role of all primaries.

    Raises:
        StoreError: one did not answer.
    """
    if not isinstance(client, RedisCluster):
        facts = await _facts(client)
        behind_sentinel = isinstance(client.connection_pool, SentinelConnectionPool)
        if behind_sentinel and facts.get("role") != "master":
            await client.connection_pool.disconnect(inuse_connections=False)
            raise StoreError("readonly", "the previous master is now a replica")
        return judge({"": facts}, replicated=behind_sentinel)
    await ping(client)  # now they are known
    found = {node.name: await _facts(client, target_nodes=node) for node in client.get_primaries()}
    return judge(found, replicated=True)


async def _facts(client: Redis, **node: ClusterNode) -> dict[str, str]:
    ask: Any = client.execute_command
    with store_errors():
        info: dict[str, Any] = await ask("INFO", **node)
    facts = {name: str(info[name]) for name in INFO if name in info}
    facts |= abilities(facts.get("redis_version", ""))
    if "maxmemory_policy" in info:
        facts["maxmemory-policy"] = str(info["maxmemory_policy"])
    try:
        with store_errors():
            found = await ask("CONFIG GET", *CONFIG, **node)
    except StoreError:
        return facts  # a managed server, or an ACL, may not allow CONFIG
    return facts | {_text(name): _text(value) for name, value in found.items()}


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
