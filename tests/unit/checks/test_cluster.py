"""Nodes of a Redis Cluster whose replies a test scripts."""

import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from app.checks.redis_primaries import MAX_AT_ONCE, MAX_PRIMARIES
from app.checks.redis_server import HIDDEN_CLUSTER
from app.health import Reason
from tests.support.ports import free_port
from tests.support.specs import redis
from tests.unit.checks.attempt import failure
from tests.unit.checks.test_sentinel import serving
from tests.unit.checks.test_tls import open_connections


def bulk(*lines: str) -> bytes:
    """Return a text without its last line break."""
    text = "".join(f"{line}\n" for line in lines)
    return f"${len(text)}\r\n{text}".encode()


def info(state: str) -> bytes:
    """Return a reply to CLUSTER INFO that counts all slots."""
    return bulk(f"cluster_state:{state}", "cluster_slots_ok:16384")


def line(endpoint: str, flags: str = "master", slots: str = "0-16383") -> str:
    """Return what CLUSTER NODES says of a node."""
    return f"id {endpoint} {flags} - 0 0 1 connected {slots}".strip()


@dataclass
class Node:
    """A node, and the replies of its server by command."""

    port: int = 0
    replies: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The address as nodes write it."""
        return f"127.0.0.1:{self.port}@{self.port}"


@asynccontextmanager
async def node(*lines: str) -> AsyncIterator[Node]:
    """Run a node that passes. Without lines it names itself as the only primary."""
    replies = {b"CLIENT SETNAME vitals": b"+OK", b"CLUSTER INFO": info("ok")}
    async with serving(replies) as port:
        one = Node(port, replies)
        replies[b"CLUSTER NODES"] = bulk(*(lines or [line(one.endpoint)]))
        yield one


def opened(*seeds: Node, depth: str = "writable") -> AbstractAsyncContextManager[Any]:
    """Open a probe of a cluster."""
    hosts = ",".join(f"127.0.0.1:{seed.port}" for seed in seeds)
    return redis(f"redis+cluster://{hosts}", None, require=depth, renew_after=86400)


@pytest.mark.parametrize(
    ("endpoint", "flags"),
    [
        ("127.0.0.1:PORT@1", "myself,master"),
        ("192.0.2.1:PORT@1,127.0.0.1", "master"),  # the announced host name, if there is one
        ("name.invalid:PORT@1,127.0.0.1,shard-id=1", "master"),
        ("127.0.0.1:PORT", "master,nofailover"),  # before Redis 4
        (":PORT@1", "myself,master"),  # a node that does not know its address
        ("127.0.0.1:PORT@1,,tls-port=0", "master,fail?"),
    ],
)
async def test_the_named_primary_is_asked(endpoint: str, flags: str) -> None:
    async with node() as seed, opened(seed) as probe:
        seed.replies[b"CLUSTER NODES"] = bulk(line(endpoint.replace("PORT", str(seed.port)), flags))
        await probe()
        await probe()
        seed.replies[b"CLUSTER NODES"] = bulk(line(endpoint.replace("PORT", "1"), flags))
        assert await failure(probe) is Reason.REFUSED


@pytest.mark.parametrize(
    "other",
    [
        line("127.0.0.1:1@1", "slave", ""),
        line("127.0.0.1:1@1", "master", ""),
        line("127.0.0.1:1@1", "master", "[93->-id]"),
        line(":0@0", "master,noaddr", ""),
        line("127.0.0.1:1@1", "handshake", ""),
    ],
)
async def test_nodes_without_slots_are_not_asked(other: str) -> None:
    async with node() as seed, opened(seed) as probe:
        seed.replies[b"CLUSTER NODES"] = bulk(other, line(seed.endpoint))
        await probe()


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (b"+OK", Reason.PROTOCOL),
        (b"$-1", Reason.PROTOCOL),
        (b"*0", Reason.PROTOCOL),
        (bulk(), Reason.PROTOCOL),
        (bulk("id 127.0.0.1:1@1 master"), Reason.PROTOCOL),
        (bulk(line("127.0.0.1:1@1", "slave", "")), Reason.PROTOCOL),
        (bulk(line("127.0.0.1@1")), Reason.PROTOCOL),
        (bulk(line("127.0.0.1:0@1")), Reason.PROTOCOL),
        (bulk(line("127.0.0.1:99999@1")), Reason.PROTOCOL),
        (bulk(line("/run/redis.sock:1@1")), Reason.PROTOCOL),
        (bulk(line("127.0.0.1:1@1,/run/redis.sock")), Reason.PROTOCOL),
        (bulk(line(f"{'h' * 254}:1@1")), Reason.PROTOCOL),
        (
            bulk(*(f"i h:{n} master - 0 0 0 c 1" for n in range(1, MAX_PRIMARIES + 2))),
            Reason.PROTOCOL,
        ),
        (bulk(line("name.invalid:1@1")), Reason.DNS),
        (b"-LOADING Redis is loading", Reason.STARTING),
    ],
)
async def test_nodes_that_name_no_primary_fail(nodes: bytes, reason: Reason) -> None:
    """Without the primaries it is unknown whether a cluster takes writes."""
    async with node() as seed, opened(seed) as probe:
        seed.replies[b"CLUSTER NODES"] = nodes
        assert await failure(probe) is reason


@pytest.mark.parametrize("refusal", [b"-NOPERM no permissions", b"-ERR unknown subcommand 'NODES'"])
async def test_a_node_that_denies_the_primaries_decides_alone(refusal: bytes) -> None:
    """The advice for a check that passes says so, until the node names them."""
    async with node() as seed, opened(seed) as probe:
        nodes = seed.replies[b"CLUSTER NODES"]
        seed.replies[b"CLUSTER NODES"] = refusal
        await probe()
        assert probe.remark is HIDDEN_CLUSTER
        seed.replies[b"CLUSTER NODES"] = nodes
        await probe()
        assert probe.remark is None


async def test_a_primary_that_is_down_decides() -> None:
    """The other nodes count its slots as served. The log names it."""
    async with node() as healthy, node() as restarted:
        nodes = bulk(line(healthy.endpoint, slots="0-8000"), line(restarted.endpoint))
        healthy.replies[b"CLUSTER NODES"] = nodes
        restarted.replies[b"CLUSTER INFO"] = info("fail")
        async with opened(healthy, restarted) as probe:
            assert await failure(probe) is Reason.CLUSTER_DOWN
            with pytest.raises(Exception, match="the state is fail") as caught:
                await probe()
            probe.explain(caught.value)
            assert f"the primary 127.0.0.1, port {restarted.port}" in caught.value.__notes__
            restarted.replies[b"CLUSTER INFO"] = info("ok")
            await probe()


async def test_a_primary_that_is_down_ends_no_session_with_another() -> None:
    """Otherwise each instance would connect to all of them again at each attempt."""
    refused = f"127.0.0.1:{free_port()}@1"
    async with node() as seed, node() as other, opened(seed) as probe:
        seed.replies[b"CLUSTER NODES"] = bulk(line(refused), line(other.endpoint))
        assert await failure(probe) is Reason.REFUSED
        sessions = local_ports(other.port)
        for _ in range(3):
            assert await failure(probe) is Reason.REFUSED
        assert local_ports(other.port) == sessions != set()


def local_ports(port: int) -> set[int]:
    """Return the ports of this process that are connected to another one."""
    known = psutil.Process().net_connections("tcp")
    return {one.laddr.port for one in known if one.raddr[1:] == (port,)}


async def test_the_first_primary_that_fails_is_named() -> None:
    """Others may fail in the same iteration of the event loop."""
    async with node() as seed, opened(seed) as probe:
        refused = [f"127.0.1.{number}:{seed.port}@1" for number in range(1, 5)]
        seed.replies[b"CLUSTER NODES"] = bulk(*map(line, refused))
        with pytest.raises(ConnectionRefusedError) as caught:
            await probe()
        assert probe.explain(caught.value) is Reason.REFUSED
        address, primary = caught.value.__notes__
        assert address.removeprefix("address ") == primary.removeprefix("the primary ")


async def test_a_silent_primary_hides_no_other_one() -> None:
    """Several are asked at the same time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        frozen = f"127.0.0.1:{silent.getsockname()[1]}@1"
        async with node() as healthy, opened(healthy) as probe:
            healthy.replies[b"CLUSTER NODES"] = bulk(line(frozen), line(healthy.endpoint))
            assert await failure(probe, within=0.5) is Reason.TIMEOUT
            refused = f"127.0.0.1:{free_port()}@1"
            healthy.replies[b"CLUSTER NODES"] = bulk(line(frozen), line(refused))
            assert await failure(probe) is Reason.REFUSED


@pytest.mark.parametrize(
    ("numbers", "asked"),
    [
        pytest.param(range(50), MAX_AT_ONCE, id="more would block the event loop"),
        pytest.param([1] * 3, 1, id="nodes behind one forwarded port"),
    ],
)
async def test_primaries_are_asked(numbers: Sequence[int], asked: int) -> None:
    with socket.create_server(("0.0.0.0", 0), backlog=100) as silent:  # noqa: S104 - 127.0.0.0/8
        port = silent.getsockname()[1]
        async with node() as seed, opened(seed) as probe:
            lines = [line(f"127.0.1.{number}:{port}@1") for number in numbers]
            seed.replies[b"CLUSTER NODES"] = bulk(*lines)
            assert await failure(probe, within=0.5) is Reason.TIMEOUT
        silent.settimeout(0)
        assert len(list(accepted(silent))) == asked


def accepted(server: socket.socket) -> Iterator[None]:
    """Accept the connections that wait for a server."""
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            yield


async def test_a_failover_changes_the_primaries() -> None:
    """The session with the earlier one is closed."""
    async with node() as seed, node() as old, node() as new, opened(seed) as probe:
        for primary in (old, new):
            seed.replies[b"CLUSTER NODES"] = bulk(line(primary.endpoint))
            await probe()
        assert not open_connections(old.port)
        await probe()
        new.replies[b"CLUSTER INFO"] = info("fail")
        assert await failure(probe) is Reason.CLUSTER_DOWN


@pytest.mark.parametrize("depth", ["connect", "query"])
async def test_another_depth_does_not_ask_the_primaries(depth: str) -> None:
    async with node() as seed, opened(seed, depth=depth) as probe:
        del seed.replies[b"CLUSTER NODES"]
        await probe()
        await probe()
