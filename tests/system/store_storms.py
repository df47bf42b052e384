"""Random faults of stores that span machines, while a client writes through the same addresses."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel as SentinelClient
from redis.backoff import NoBackoff

from app.checks.race import race
from tests.support.faults.fault import Blackhole, Cut, Fault, Refuse, Reset, Silent
from tests.support.faults.proxy import Proxy, proxy_in_thread
from tests.support.faults.servers import command, connect, frozen, kill, killed, sql
from tests.system.redis_cluster import ClusterNode, RedisCluster, running_cluster
from tests.system.redis_sentinel import (
    PASSWORD,
    SENTINEL_PASSWORD,
    SERVICE,
    SentinelGroup,
    running_sentinels,
)
from tests.system.replicas import Replica
from tests.system.servers import SystemPostgres
from tests.system.witness import BOUND, TIMEOUT, Witness, observed


# Seconds for which a check and a client may disagree, since the client needs its own timeout to
# notice. A fault of the whole store lasts longer.
LIMIT = BOUND + TIMEOUT
LASTING = LIMIT + BOUND


def pause(rng: random.Random) -> None:
    """Wait while a fault of a part lasts, or after a repair."""
    time.sleep(rng.uniform(BOUND / 2, 2 * BOUND))


def strike(
    store: Any,
    faults: Sequence[Callable[..., None]],
    rng: random.Random,
    rounds: int,
    settle: Callable[[], None] = lambda: None,
) -> None:
    """Cause faults in random order, each as often as the others. Let the store settle after each.

    A fault is a function that breaks a store, waits, and repairs it.
    """
    counts = [-(-rounds // len(faults))] * len(faults)
    for fault in rng.sample(faults, rounds, counts=counts):
        fault(store, rng)
        settle()
        pause(rng)


Breaking = Callable[..., AbstractContextManager[None]]


def kill_and_freeze(fault: Callable[..., None]) -> list[Callable[..., None]]:
    """Return two faults: one that kills servers, and one that freezes them."""
    return [partial(fault, breaking=killed), partial(fault, breaking=frozen)]


# A key of each range of slots.
KEYS = ("b", "c", "a")


async def write_keys(clients: Sequence[Any]) -> None:
    """Write each key to whichever node takes it."""
    writes = [[partial(client.set, key, "value") for client in clients] for key in KEYS]
    await asyncio.gather(*(race(attempts, delay=0) for attempts in writes))


async def storm_over_cluster(rng: random.Random, rounds: int) -> Witness:
    """Break the nodes of a Redis Cluster."""
    faults = [*kill_and_freeze(lose_node), lose_range, lose_majority, promote_node]
    with running_cluster() as cluster:
        password = cluster.nodes[0].password_file.read_text()
        once = Retry(NoBackoff(), 0)
        clients = [Redis(port=one.port, password=password, retry=once) for one in cluster.nodes]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
        options = {"url": f"redis+cluster://{hosts}", "depth": "writable"}
        write = partial(write_keys, clients)
        async with observed(options, {"it_password": password}, write) as witness:
            await asyncio.to_thread(strike, cluster, faults, rng, rounds, cluster.wait_healthy)
        for client in clients:
            await client.aclose()
    return witness


def pairs(cluster: RedisCluster) -> list[tuple[ClusterNode, ClusterNode]]:
    """Return each primary of now with its replica."""
    together = zip(cluster.primaries, cluster.replicas, strict=True)
    return [
        (one, other) if command(one, "ROLE")[0] == "master" else (other, one)
        for one, other in together
    ]


def lose_node(cluster: RedisCluster, rng: random.Random, breaking: Breaking) -> None:
    """Break a node for a while. The replica of a killed primary takes over."""
    with breaking(rng.choice(cluster.nodes)):
        pause(rng)


def lose_range(cluster: RedisCluster, rng: random.Random) -> None:
    """Kill a primary together with its replica."""
    with killed(*rng.choice(pairs(cluster))):
        time.sleep(LASTING)


def lose_majority(cluster: RedisCluster, rng: random.Random) -> None:
    """Freeze two of the three primaries, so that their replicas find no majority."""
    with frozen(*(primary for primary, _ in rng.sample(pairs(cluster), 2))):
        time.sleep(LASTING)


def promote_node(cluster: RedisCluster, rng: random.Random) -> None:
    """Let a replica take over."""
    _, replica = rng.choice(pairs(cluster))
    command(replica, "CLUSTER", "FAILOVER")
    pause(rng)


async def storm_over_sentinels(rng: random.Random, rounds: int) -> Witness:
    """Break Sentinels and the primary that they watch."""
    with running_sentinels() as group:
        addresses = [("127.0.0.1", one.port) for one in group.sentinels]
        own = {"password": SENTINEL_PASSWORD, "socket_timeout": TIMEOUT / 4}
        client = SentinelClient(addresses, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        primary = client.master_for(SERVICE, password=PASSWORD, socket_timeout=TIMEOUT)
        hosts = ",".join(f"{host}:{port}" for host, port in addresses)
        options = {"url": f"redis+sentinel://{hosts}/{SERVICE}", "depth": "writable"}
        secrets = {"it_password": PASSWORD, "it_sentinel_password": SENTINEL_PASSWORD}
        faults = [freeze_servers, *kill_and_freeze(lose_primary), hand_over, freeze_sentinel]
        async with observed(options, secrets, partial(primary.set, "key", "value")) as witness:
            await asyncio.to_thread(strike, group, faults, rng, rounds, group.wait_healthy)
        for one in (primary, *client.sentinels):
            await one.connection_pool.disconnect()
    return witness


def freeze_servers(group: SentinelGroup, _: random.Random) -> None:
    """Freeze the primary and every replica, so that none can be promoted."""
    with frozen(*group.nodes):
        time.sleep(LASTING)


def lose_primary(group: SentinelGroup, _: random.Random, breaking: Breaking) -> None:
    """Break the primary until another one is promoted."""
    old = group.primary
    with breaking(old):
        group.wait_failover(old)


def hand_over(group: SentinelGroup, rng: random.Random) -> None:
    """Promote another primary on request."""
    old = group.primary
    command(rng.choice(group.sentinels), "SENTINEL", "FAILOVER", SERVICE)
    group.wait_failover(old)


def freeze_sentinel(group: SentinelGroup, rng: random.Random) -> None:
    """Freeze a Sentinel for a while."""
    with frozen(rng.choice(group.sentinels)):
        pause(rng)


# How the network may fail between a client and a host.
NETWORK_FAULTS: tuple[Fault, ...] = (Blackhole(), Cut(), Refuse(), Reset(), Silent())


@dataclass(frozen=True, slots=True)
class Replication:
    """A primary and its streaming replicas, behind a proxy each."""

    primary: SystemPostgres
    replicas: Sequence[Replica]
    proxies: Sequence[Proxy]


async def storm_over_replicas(rng: random.Random, rounds: int) -> Witness:
    """Break a PostgreSQL primary, its replicas and their network, and promote a replica at last."""
    with SystemPostgres() as primary, ExitStack() as stack:
        sql(primary, "CREATE TABLE written (number int)")
        replicas = [stack.enter_context(Replica(primary)) for _ in range(2)]
        servers = rng.sample([primary, *replicas], 3)
        proxies = [stack.enter_context(proxy_in_thread("127.0.0.1", one.port)) for one in servers]
        replication = Replication(primary, replicas, proxies)
        ports = [proxy.port for proxy in proxies]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        url = f"postgresql://vitals@{hosts}/postgres?target_session_attrs=read-write"
        options = {"url": url, "depth": "writable"}
        secrets = {"it_password": primary.password_file.read_text()}
        writes = [partial(insert, primary, port) for port in ports]
        faults = [cut_hosts, cut_hosts, *kill_and_freeze(lose_server)]
        async with observed(options, secrets, partial(race, writes)) as witness:
            await asyncio.to_thread(strike, replication, faults, rng, rounds - 1)
            await asyncio.to_thread(strike, replication, [promote_replica], rng, 1)
    return witness


async def insert(primary: SystemPostgres, port: int) -> None:
    """Write to the server behind a port, unless it is a replica."""
    connection = await connect(primary, port=port)
    try:
        await connection.execute("INSERT INTO written VALUES (1)")
    finally:
        connection.terminate()


def cut_hosts(replication: Replication, rng: random.Random) -> None:
    """Disturb the network to some of the hosts."""
    broken = rng.sample(replication.proxies, rng.randint(1, 2))
    for proxy in broken:
        proxy.break_with(rng.choice(NETWORK_FAULTS))
    pause(rng)
    for proxy in broken:
        proxy.heal()


def lose_server(replication: Replication, _: random.Random, breaking: Breaking) -> None:
    """Break the primary."""
    with breaking(replication.primary):
        time.sleep(LASTING)


def promote_replica(replication: Replication, rng: random.Random) -> None:
    """Kill the primary for good, and promote a replica."""
    kill(replication.primary)
    time.sleep(LASTING)
    sql(rng.choice(replication.replicas), "SELECT pg_promote()")


@dataclass(frozen=True, slots=True)
class Storm:
    """Random faults of one kind of store.

    Attributes:
        name: of the store.
        rounds: the number of faults.
        limit: seconds for which the check and the client may disagree.
    """

    name: str
    rounds: int
    limit: float
    strike: Callable[[random.Random, int], Awaitable[Witness]]

    async def run(self, seed: str) -> Witness:
        """Cause the faults, and return what the client has found."""
        return await self.strike(random.Random(seed), self.rounds)


STORMS = (
    Storm("Redis Cluster", 5, LIMIT, storm_over_cluster),
    Storm("Redis Sentinel", 5, LIMIT, storm_over_sentinels),
    Storm("PostgreSQL replicas", 6, LIMIT, storm_over_replicas),
)
