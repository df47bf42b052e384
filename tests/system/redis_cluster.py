"""A Redis Cluster of six nodes: three primaries, each with a replica."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from redis.exceptions import RedisError

from tests.support.devservers.servers import reserve
from tests.support.faults.servers import command, kill
from tests.system.servers import SystemRedis


# Milliseconds until a node counts as failed. A replica takes over after about as long again.
NODE_TIMEOUT = 400
RANGES = ((0, 5460), (5461, 10922), (10923, 16383))


class ClusterNode(SystemRedis):
    """One node."""

    def __init__(self, password: str) -> None:
        super().__init__()
        self.password_file.write_text(password)
        self._bus = reserve()
        self.bus_port = self._bus.getsockname()[1]
        self.arguments = (
            *("--cluster-port", str(self.bus_port)),
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)),
            *("--masterauth", password, "--cluster-replica-validity-factor", "0"),
        )

    def close(self) -> None:
        """Stop the server, and release its ports."""
        super().close()
        self._bus.close()

    def info(self) -> dict[str, str]:
        """Return the state of the cluster as the node knows it."""
        return dict(line.split(":") for line in command(self, "CLUSTER", "INFO").split())


class RedisCluster:
    """Six nodes.

    Attributes:
        primaries: the nodes that have slots at first.
        replicas: the replica of each, in the same order.
    """

    def __init__(self) -> None:
        first = ClusterNode("secret")
        rest = [ClusterNode("secret") for _ in range(5)]
        self.primaries, self.replicas = [first, *rest[:2]], rest[2:]

    @property
    def nodes(self) -> list[ClusterNode]:
        """All nodes."""
        return self.primaries + self.replicas

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.close)
            for node in self.nodes:
                node.start()
            for node, (start, end) in zip(self.primaries, RANGES, strict=True):
                command(node, "CLUSTER", "ADDSLOTSRANGE", str(start), str(end))
            for node in self.nodes[1:]:
                self.meet(node)
            wait_for(lambda: all(known(node) == len(self.nodes) for node in self.nodes))
            for primary, replica in zip(self.primaries, self.replicas, strict=True):
                follow(replica, primary)
            self.wait_healthy()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def meet(self, node: ClusterNode) -> None:
        """Introduce a node to the first one."""
        first = self.nodes[0]
        command(node, "CLUSTER", "MEET", "127.0.0.1", str(first.port), str(first.bus_port))

    def wait_healthy(self) -> None:
        """Wait until each node knows that all slots are served, and each primary has a replica."""
        wait_for(lambda: all(is_complete(node) for node in self.nodes))
        wait_for(lambda: all(has_partner(node) for node in self.nodes))

    @contextmanager
    def killed(self, *nodes: ClusterNode) -> Iterator[None]:
        """Kill nodes, and restart them when the block ends."""
        for node in nodes:
            kill(node)
        try:
            yield
        finally:
            for node in nodes:
                node.start()
            self.wait_healthy()

    @contextmanager
    def range_down(self) -> Iterator[None]:
        """Kill the two nodes of the first range."""
        with self.killed(*self.pair()):
            wait_for(lambda: all(int(one.info()["cluster_slots_fail"]) for one in self.others()))
            yield

    def pair(self) -> tuple[ClusterNode, ClusterNode]:
        """Return the nodes of the first range."""
        return self.primaries[0], self.replicas[0]

    def others(self) -> list[ClusterNode]:
        """Return the nodes of the other ranges."""
        return [node for node in self.nodes if node not in self.pair()]


def known(node: ClusterNode) -> int:
    """Return how many nodes a node knows."""
    return int(node.info()["cluster_known_nodes"])


def is_complete(node: ClusterNode) -> bool:
    """Return whether a node knows that all slots are served."""
    info = node.info()
    return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == "16384"


def has_partner(node: ClusterNode) -> bool:
    """Return whether a primary has a replica, or a replica its primary."""
    role = command(node, "ROLE")
    return bool(role[2]) if role[0] == "master" else role[3] == "connected"


def follow(replica: ClusterNode, primary: ClusterNode) -> None:
    """Turn a node into a replica."""
    identity = command(primary, "CLUSTER", "MYID")
    wait_for(lambda: identity in str(command(replica, "CLUSTER", "NODES")))
    command(replica, "CLUSTER", "REPLICATE", identity)


def wait_for(condition: Callable[[], bool], within: float = 30) -> None:
    """Wait until a condition holds. A server that restarts does not answer for a moment."""
    deadline = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except RedisError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)
