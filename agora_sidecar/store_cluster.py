"""The driver's client of a Cluster, with what it lacks as of redis-py 8.0.1. Behind `store`'s door.

Each method says what the driver would do without it.
"""

import asyncio
from typing import Any

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.cluster import PRIMARY
from redis.exceptions import RedisError


class Cluster(RedisCluster):
    """A client of a Cluster whose commands end in time; `deadline` in seconds."""

    def __init__(self, *, deadline: float, tell: dict[str, Any], **given: Any) -> None:
        # Reinitialising on every fifth MOVED closes the connections that others are using
        super().__init__(reinitialize_steps=0, **given)
        # It has no argument for what is told of new connections
        for options in (self.connection_kwargs, *(n.connection_kwargs for n in self.startup_nodes)):
            options.update(tell)
        self._deadline = deadline
        self._failed: str | None = None

    async def initialize(self, *args: Any, **options: Any) -> "Cluster":
        """Learn the slots, where they are not known: from known nodes or those configured.

        The driver forgets the latter, and would never find a Cluster whose addresses all changed.
        It would also go on asking a node that hangs: who failed last is asked last.
        """
        if self._initialize:
            for node in self.startup_nodes:
                self.nodes_manager.startup_nodes.setdefault(node.name, node)
            try:
                await super().initialize(*args, **options | {"last_failed_node_name": self._failed})
            except BaseException:  # the first primary is asked for the commands
                for node in self.get_primaries()[:1]:
                    self.nodes_manager.move_node_to_end_of_cached_nodes(node.name)
                raise
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command within twice the deadline: to learn the slots, and to do it."""
        async with asyncio.timeout(2 * self._deadline):
            await self.initialize()  # the driver sends what comes before it knows them anywhere
            if args[0] in {"XREAD", "XREADGROUP"}:
                # The driver asks a server for the keys each time: maybe the one that is gone
                words = [part in {"STREAMS", b"STREAMS"} for part in args]
                node = self.get_node_from_key(args[words.index(True) + 1])
                options.setdefault("target_nodes", node)
            try:
                return await super().execute_command(*args, **options)
            except RedisError as error:
                self._failed = getattr(error, "last_failed_node_name", self._failed)
                raise

    def get_node(self, *args: Any, **options: Any) -> ClusterNode | None:
        """A node by its name: ASK may be the first to name a new one, where the driver crashes."""
        node = super().get_node(*args, **options)
        name = options.get("node_name")
        if node is None and name:
            host, _, port = name.rpartition(":")
            node = ClusterNode(host, int(port), PRIMARY, **self.connection_kwargs)
            self.nodes_manager.set_nodes(self.nodes_manager.nodes_cache, {name: node})
        return node

    async def aclose(self) -> None:
        """Close every connection: the driver closes none after one failed."""
        await super().aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")
