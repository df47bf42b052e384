"""Three Redis servers, of which one is the primary, and three Sentinels."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.faults.servers import command
from tests.system.servers import SystemRedis, wait_for


SERVICE = "main"
PASSWORD, SENTINEL_PASSWORD = "secret", "another"

# Milliseconds without an answer after which a Sentinel suspects the primary. On a busy machine an
# answer may need 300 ms: the Sentinels then replace a primary that works, again and again.
DOWN_AFTER = 1000


class DataNode(SystemRedis):
    """A primary, or a replica."""

    def __init__(self) -> None:
        super().__init__()
        self.password_file.write_text(PASSWORD)
        self.arguments = ("--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")

    @property
    def role(self) -> str:
        """The role as the server knows it: master or slave."""
        return str(command(self, "ROLE")[0])


class Sentinel(SystemRedis):
    """A Sentinel that watches a primary."""

    def __init__(self, primary: DataNode) -> None:
        super().__init__()
        self.password_file.write_text(SENTINEL_PASSWORD)
        self._file = self.write(
            "sentinel.conf",
            f"bind 127.0.0.1\n"
            f"port {self.port}\n"
            f'proc-title-template "{self.title_prefix}{{title}} {{listen-addr}}"\n'
            f"requirepass {SENTINEL_PASSWORD}\n"
            f"sentinel sentinel-pass {SENTINEL_PASSWORD}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} 2\n"
            f"sentinel auth-pass {SERVICE} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}\n"
            f"sentinel failover-timeout {SERVICE} 1000\n",
        )

    def command(self) -> list[str]:
        """Return the command. A Sentinel writes what it learns into its file."""
        return [str(self.program()), str(self._file), "--sentinel"]

    def knows(self) -> tuple[int, int]:
        """Return how many other Sentinels and replicas it knows."""
        others = command(self, "SENTINEL", "SENTINELS", SERVICE)
        return len(others), len(command(self, "SENTINEL", "REPLICAS", SERVICE))

    def primary_port(self) -> int:
        """Return the port of the primary as it knows it."""
        return int(command(self, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])


class SentinelGroup:
    """The servers and the Sentinels."""

    def __init__(self) -> None:
        self.nodes = [DataNode() for _ in range(3)]
        self.sentinels = [Sentinel(self.nodes[0]) for _ in range(3)]

    @property
    def primary(self) -> DataNode:
        """The server that the Sentinels take for the primary."""
        port = self.sentinels[0].primary_port()
        return next(node for node in self.nodes if node.port == port)

    def wait_healthy(self) -> None:
        """Wait until the Sentinels agree, and each server has the role that they think it has."""
        wait_for(self.is_healthy, within=60)

    def is_healthy(self) -> bool:
        """Return whether the Sentinels name one primary, which has every other node as replica."""
        return (
            all(one.knows() == (2, 2) for one in self.sentinels)
            and len({one.primary_port() for one in self.sentinels}) == 1
            and len(command(self.primary, "ROLE")[2]) == len(self.nodes) - 1
        )

    def wait_failover(self, old: DataNode) -> None:
        """Wait until every Sentinel names another primary."""
        wait_for(lambda: all(one.primary_port() != old.port for one in self.sentinels))


@contextmanager
def running_sentinels() -> Iterator[SentinelGroup]:
    """Run a group while the block runs."""
    group = SentinelGroup()
    first, *replicas = group.nodes
    with ExitStack() as stack:
        for server in (*group.nodes, *group.sentinels):
            stack.callback(server.close)
        for server in (*group.nodes, *group.sentinels):
            server.start()
        for replica in replicas:
            command(replica, "REPLICAOF", "127.0.0.1", str(first.port))
        group.wait_healthy()
        yield group
