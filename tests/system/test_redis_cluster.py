"""A Redis Cluster: the state that a node reports decides, whichever slots it serves."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest

from app.check_factory import advise
from app.checks.redis_server import HIDDEN_CLUSTER
from app.health import Reason
from tests.support.faults.redis import configured
from tests.support.faults.servers import command, frozen, kill
from tests.support.ports import free_port
from tests.support.specs import redis, spec_of
from tests.system.redis_cluster import ClusterNode, RedisCluster, follow, running_cluster
from tests.system.servers import SystemRedis, wait_for
from tests.unit.checks.attempt import failure


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[RedisCluster]:
    with running_cluster() as cluster:
        yield cluster


def opened(url: str, depth: str = "query") -> AbstractAsyncContextManager[Any]:
    """Open a probe of a URL."""
    return redis(url, lambda: "secret", require=depth, renew_after=86400)


def seeds(nodes: Sequence[ClusterNode], *others: int) -> str:
    """Return the URL of a cluster, which has other ports first."""
    ports = [*others, *(node.port for node in nodes)]
    return f"redis+cluster://{','.join(f'127.0.0.1:{port}' for port in ports)}"


@pytest.mark.parametrize("depth", ["connect", "query", "writable"])
async def test_each_node_of_a_healthy_cluster_passes(cluster: RedisCluster, depth: str) -> None:
    """Also replicas, and nodes that do not serve the slot of the probe's key."""
    for node in cluster.nodes:
        async with opened(node.url, depth) as probe:
            await probe()
            await probe()


@pytest.mark.parametrize("depth", ["query", "writable"])
async def test_a_missing_range_is_cluster_down(cluster: RedisCluster, depth: str) -> None:
    """On a kept and on a new session, and with several seeds. A repair shows at once."""
    node, *_ = cluster.others()
    async with opened(node.url, depth) as kept, opened(seeds(cluster.nodes), depth) as several:
        await kept()
        await several()
        with cluster.range_down():
            assert await failure(kept) is Reason.CLUSTER_DOWN
            assert await failure(several, within=2) is Reason.CLUSTER_DOWN
            async with opened(node.url, depth) as new:
                assert await failure(new) is Reason.CLUSTER_DOWN
        await kept()
        await several()


async def test_without_full_coverage_only_writable_needs_all_slots(cluster: RedisCluster) -> None:
    node, *_ = cluster.others()
    with each_configured(cluster, "cluster-require-full-coverage", "no"):
        async with opened(node.url) as readable, opened(node.url, "writable") as writable:
            with cluster.range_down():
                assert await failure(writable) is Reason.CLUSTER_DOWN
                await readable()
            await writable()


async def test_a_minority_is_cluster_down(cluster: RedisCluster) -> None:
    """Nodes that are frozen do not answer, but the one that does knows the state."""
    lonely, *down = cluster.primaries
    async with opened(lonely.url) as probe, opened(seeds([*down, lonely])) as several:
        with frozen(*down, *cluster.replicas):
            wait_for(lambda: lonely.info()["cluster_state"] == "fail")
            assert await failure(probe) is Reason.CLUSTER_DOWN
            assert await failure(several, within=2) is Reason.CLUSTER_DOWN
        cluster.wait_healthy()
        await probe()
        await several()


async def test_a_node_that_has_forgotten_its_peers_is_cluster_down(cluster: RedisCluster) -> None:
    """The cluster itself passes with another seed."""
    primary = cluster.primaries[-1]
    forgetful = cluster.replicas[-1]
    async with (
        opened(forgetful.url) as probe,
        opened(seeds([forgetful, *cluster.nodes])) as several,
    ):
        await probe()
        command(forgetful, "CLUSTER", "RESET", "HARD")
        assert await failure(probe) is Reason.CLUSTER_DOWN
        await several()
        cluster.meet(forgetful)
        follow(forgetful, primary)
        cluster.wait_healthy()
        await probe()


async def test_one_dead_seed_does_not_fail(cluster: RedisCluster) -> None:
    """Nor does one that accepts the connection and stays silent."""
    async with opened(seeds(cluster.nodes[:1], free_port())) as probe:
        await probe()
    first, second, *_ = cluster.replicas
    async with opened(seeds([first, second])) as probe:
        with frozen(first):
            await probe()
            await probe()


async def test_without_any_seed_the_first_one_has_the_reason() -> None:
    async with opened(seeds([], free_port(), free_port())) as probe:
        assert await failure(probe) is Reason.REFUSED


async def test_writable_sees_a_primary_that_the_others_still_count(cluster: RedisCluster) -> None:
    """A restarted one refuses commands for 2 s, and a frozen one does not answer."""
    primary, other = cluster.primaries[0], cluster.primaries[1]
    with each_configured(cluster, "cluster-node-timeout", "10000"):
        async with (
            opened(seeds([other]), "writable") as writable,
            opened(seeds([other])) as readable,
        ):
            await writable()
            with frozen(primary):
                assert await failure(writable) is Reason.TIMEOUT
                await readable()
            await writable()
            kill(primary)
            assert await failure(writable) is Reason.REFUSED
            primary.start()
            assert await failure(writable) is Reason.CLUSTER_DOWN
            await readable()
        cluster.wait_healthy()


async def test_writable_follows_a_failover(cluster: RedisCluster) -> None:
    async with opened(seeds(cluster.others()), "writable") as probe:
        for _ in range(2):
            await probe()
            promoted = next(node for node in cluster.pair() if not is_primary(node))
            command(promoted, "CLUSTER", "FAILOVER", "TAKEOVER")
            wait_for(partial(is_primary, promoted))
            cluster.wait_healthy()
            await probe()


async def test_writable_connects_to_the_names_that_nodes_announce(cluster: RedisCluster) -> None:
    primary, other = cluster.primaries[:2]
    with configured(primary, "cluster-announce-hostname", "name.invalid"):
        wait_for(lambda: "name.invalid" in str(command(other, "CLUSTER", "NODES")))
        async with opened(seeds([other]), "writable") as probe:
            assert await failure(probe) is Reason.DNS
    wait_for(lambda: "name.invalid" not in str(command(other, "CLUSTER", "NODES")))


def is_primary(node: ClusterNode) -> bool:
    """Return whether a node is a primary."""
    return bool(command(node, "ROLE")[0] == "master")


async def test_a_denied_list_of_nodes_leaves_the_decision_to_the_seed(
    cluster: RedisCluster,
) -> None:
    """The advice for a check that passes says so."""
    node, *_ = cluster.others()
    command(node, "ACL", "SETUSER", "default", "-cluster|nodes")
    async with opened(seeds([node]), "writable") as probe:
        await probe()
        assert advise(spec_of("redis"), probe, None) is HIDDEN_CLUSTER
    command(node, "ACL", "SETUSER", "default", "+cluster|nodes")


@pytest.mark.parametrize("depth", ["query", "writable"])
async def test_a_denied_cluster_info_makes_ping_decide(cluster: RedisCluster, depth: str) -> None:
    """The advice for a check that passes says so."""
    for node in cluster.others():
        command(node, "ACL", "SETUSER", "default", "-cluster|info")
        async with opened(node.url, depth) as probe:
            await probe()
            await probe()
            assert advise(spec_of("redis"), probe, None) is HIDDEN_CLUSTER
        command(node, "ACL", "SETUSER", "default", "+cluster|info")


async def test_a_server_that_is_no_cluster_is_misconfigured(system_redis: SystemRedis) -> None:
    url = system_redis.url.replace("redis:", "redis+cluster:")
    async with redis(
        url, system_redis.password_file.read_text, require="query", renew_after=86400
    ) as probe:
        assert await failure(probe) is Reason.MISCONFIGURED


@contextmanager
def each_configured(cluster: RedisCluster, name: str, value: str) -> Iterator[None]:
    """Change a setting of each node, and restore it when the block ends."""
    with ExitStack() as stack:
        for node in cluster.nodes:
            stack.enter_context(configured(node, name, value))
        yield
