"""A Redis Cluster of six nodes: three primaries, each with a replica."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.faults.servers import command, killed
from tests.system.servers import SystemRedis, wait_for


# Milliseconds until a node counts as failed. A replica takes over after about as long again.
NODE_TIMEOUT = 400
RANGES = ((0, 5460), (5461, 10922), (10923, 16383))


class ClusterNode(SystemRedis):
    """One node."""

    def __init__(self, password: str) -> None:
        super().__init__()
        self.password_file.write_text(password)
        self.bus_port = self.reserve_port()
        self.arguments = (
            *("--cluster-port", str(self.bus_port)),
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)),
            *("--masterauth", password, "--cluster-replica-validity-factor", "0"),
        )

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
        self.nodes = [ClusterNode("secret") for _ in range(6)]
        self.primaries, self.replicas = self.nodes[:3], self.nodes[3:]

    def connect(self) -> None:
        """Join the nodes."""
        for node, (start, end) in zip(self.primaries, RANGES, strict=True):
            command(node, "CLUSTER", "ADDSLOTSRANGE", str(start), str(end))
        for node in self.nodes[1:]:
            self.meet(node)
        wait_for(lambda: all(known(node) == len(self.nodes) for node in self.nodes))
        for primary, replica in zip(self.primaries, self.replicas, strict=True):
            follow(replica, primary)
        self.wait_healthy()

    def meet(self, node: ClusterNode) -> None:
        """Introduce a node to the first one."""
        first = self.nodes[0]
        command(node, "CLUSTER", "MEET", "127.0.0.1", str(first.port), str(first.bus_port))

    def wait_healthy(self) -> None:
        """Wait until each node knows that all slots are served, and each primary has a replica."""
        wait_for(lambda: all(is_complete(node) for node in self.nodes))
        wait_for(lambda: all(has_partner(node) for node in self.nodes))

    @contextmanager
    def range_down(self) -> Iterator[None]:
        """Kill the two nodes of the first range until the block ends."""
        with killed(*self.pair()):
            wait_for(lambda: all(int(one.info()["cluster_slots_fail"]) for one in self.others()))
            yield
        self.wait_healthy()

    def pair(self) -> tuple[ClusterNode, ClusterNode]:
        """Return the nodes of the first range."""
        return self.primaries[0], self.replicas[0]

    def others(self) -> list[ClusterNode]:
        """Return the nodes of the other ranges."""
        return [node for node in self.nodes if node not in self.pair()]


@contextmanager
def running_cluster() -> Iterator[RedisCluster]:
    """Run a cluster while the block runs."""
    cluster = RedisCluster()
    with ExitStack() as stack:
        for node in cluster.nodes:
            stack.callback(node.close)
        for node in cluster.nodes:
            node.start()
        cluster.connect()
        yield cluster


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
