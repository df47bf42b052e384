"""The primaries that Redis Sentinels or the nodes of a Redis Cluster name. Failovers change them.

https://redis.io/docs/latest/develop/reference/sentinel-clients/
https://redis.io/docs/latest/commands/cluster-nodes/
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from redis.exceptions import MasterDownError

from app.checks.errors import SENTINEL_REFUSES, ProtocolError
from app.checks.hosts import UNREACHABLE, HostsProbe
from app.checks.redis_server import HIDDEN_CLUSTER, RedisProbe, RedisServer, RedisSession
from app.checks.resp import RespConnection, raise_refusal
from app.checks.session import explain_once, ignore_outcome
from app.checks.urls import is_port
from app.health import Reason


# A host that began with a slash would be a Unix socket. A DNS name has 253 characters at most.
HOST = re.compile(rb"[!-.0-~][!-~]{0,252}")
PORT = re.compile(rb"[0-9]{1,5}")

# A cluster has up to 1,000 nodes, of which two to three share the slots of one primary.
MAX_PRIMARIES = 500

# To connect to all of them at once would block the event loop, and need a thread for each name.
MAX_AT_ONCE = 10

# Seconds for the others to answer after one has failed. Cancelling an attempt ends its session, and
# while one primary is down, each attempt would connect to all others again.
GRACE = 0.1

Address = tuple[str, int]


class SentinelProbe(RedisProbe):
    """A probe of the primary that one Sentinel names. Each new session asks the Sentinel again.

    Attributes:
        has_answered: whether the Sentinel has answered when it was last asked.

    Args:
        service: the name under which the Sentinel knows the primary.
        read_sentinel_password: returns None if the Sentinel wants none.
        make_server: returns the server of a host and port.
    """

    def __init__(
        self,
        sentinel: RedisServer,
        service: str,
        read_sentinel_password: Callable[[], Awaitable[str | None]],
        make_server: Callable[[str, int], RedisServer],
        *arguments: Any,
    ) -> None:
        super().__init__(sentinel, *arguments)
        self.has_answered = False
        self._sentinel = sentinel
        self._service = service
        self._read_sentinel_password = read_sentinel_password
        self._make_server = make_server
        self._primary: tuple[Address, RedisServer] | None = None

    async def _connect(self) -> RespConnection:
        """Connect to the primary, which must confirm that it is one.

        Raises:
            redis.MasterDownError: the Sentinel knows no primary, or the server is none.
        """
        self._server = self._sentinel
        address = await self._find_primary()
        if not self._primary or self._primary[0] != address:
            self._primary = address, self._make_server(*address)
        self._server = self._primary[1]
        connection = await super()._connect()
        try:
            _ensure_primary(*await connection.execute(("ROLE",)))
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _explain_redis(self, error: BaseException) -> Reason:
        reason = super()._explain_redis(error)
        if reason is Reason.AUTH and self._server is self._sentinel:
            error.add_note(SENTINEL_REFUSES)
        return reason

    async def _find_primary(self) -> Address:
        self.has_answered = False
        self._sentinel.dialer.timeout_reason = Reason.TIMEOUT
        connection = await self._sentinel.connect(await self._read_sentinel_password())
        try:
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            [address] = await connection.execute(command)
        finally:
            connection.terminate()
        self.has_answered = True
        raise_refusal(address)
        match address:
            case None:
                raise MasterDownError("the Sentinel knows no primary of this name")
            case [bytes(host), bytes(port)]:
                return _parse_address(host, port)
        raise ProtocolError("a reply without the address of the primary")


def _parse_address(host: bytes, port: bytes) -> Address:
    if HOST.fullmatch(host) and PORT.fullmatch(port) and is_port(int(port)):
        return host.decode(), int(port)
    raise ProtocolError("a reply without the address of a primary")


def _ensure_primary(role: Any) -> None:
    """Raise an error unless the reply to ROLE is that of a primary."""
    raise_refusal(role)
    if not isinstance(role, list) or role[:1] != [b"master"]:
        raise MasterDownError("the server that the Sentinel names is not a primary")


class SentinelsProbe(HostsProbe[SentinelProbe]):
    """Asks the Sentinels until the primary that one names passes."""

    def rank(self, probe: SentinelProbe, reason: Reason) -> int:
        """Return a lower rank for a Sentinel that has answered than for another one."""
        del reason
        return UNREACHABLE - probe.has_answered


class NodeProbe(RedisProbe):
    """A probe of a node of a Redis Cluster.

    Attributes:
        primaries: the primaries that have slots, as the node names them; none if it denies that.
    """

    primaries: Sequence[Address] = ()

    async def _open_session(self) -> RedisSession:
        self.primaries = ()
        return replace(await super()._open_session(), learn_nodes=self._learn_nodes)

    def _learn_nodes(self, reply: Any) -> None:
        is_denied = self._lacks_command(reply)
        self.remark = HIDDEN_CLUSTER if is_denied else None
        self.primaries = () if is_denied else _parse_nodes(reply, self._server.host)


def _parse_nodes(reply: Any, own_host: str) -> list[Address]:
    """Return the primaries that have slots.

    Args:
        reply: that to CLUSTER NODES.
        own_host: the host of the node that has replied. It may not know its own address.
    """
    raise_refusal(reply)
    primaries = dict[Address, None]()
    for line in reply.splitlines() if isinstance(reply, bytes) else []:
        match line.split():
            case [_, endpoint, flags, _, _, _, _, _, *slots] if b"master" in flags.split(b","):
                if any(slot[:1].isdigit() for slot in slots):  # not one that is only moving
                    address, hostname, *_ = (*endpoint.split(b","), b"")
                    host, _, port = address.partition(b"@")[0].rpartition(b":")
                    # Certificates seldom name an IP address, and NAT may hide it from clients.
                    host = hostname or host or own_host.encode()
                    primaries[_parse_address(host, port)] = None
    if not 0 < len(primaries) <= MAX_PRIMARIES:
        raise ProtocolError(f"a reply with {len(primaries)} primaries")
    return list(primaries)


class ClusterProbe(HostsProbe[NodeProbe]):
    """Asks the nodes until one passes, and then each primary that this node names.

    A primary that was killed or restarted takes no writes for some seconds, during which the other
    nodes still count its slots as served.

    Args:
        make_probe: returns the probe of a primary's host and port.
    """

    def __init__(
        self,
        probes: Sequence[NodeProbe],
        timeout: float,
        make_probe: Callable[[str, int], RedisProbe],
    ) -> None:
        super().__init__(probes, timeout)
        self._make_probe = make_probe
        self._grace = min(GRACE, timeout / 10)
        self._primaries = dict[Address, RedisProbe]()
        self._unproven = list[Address]()

    async def __call__(self) -> None:
        """Ask the nodes, and then the primaries, several at the same time.

        Raises:
            Exception: the error of the node that decides, or of the first primary that fails.
        """
        self._unproven = []
        await super().__call__()
        named = self._preferred.primaries
        for address in self._primaries.keys() - set(named):
            await self._primaries.pop(address).aclose()
        for address in named:
            if address not in self._primaries:
                self._primaries[address] = self._make_probe(*address)
        self._unproven = list(named)
        queue = iter(named)
        tasks = [asyncio.create_task(self._prove(queue)) for _ in range(MAX_AT_ONCE)]
        try:
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if pending:
                await asyncio.wait(pending, timeout=self._grace)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.add_done_callback(ignore_outcome)
                task.cancel()

    async def _prove(self, addresses: Iterator[Address]) -> None:
        for address in addresses:
            try:
                await self._primaries[address]()
            except Exception as error:
                explain_once(self, error, partial(self._explain_primary, address))
                raise
            self._unproven.remove(address)

    def _explain(self, error: BaseException) -> Reason:
        if not self._unproven:
            return super()._explain(error)
        return self._explain_primary(self._unproven[0], error)

    def _explain_primary(self, address: Address, error: BaseException) -> Reason:
        error.add_note(f"the primary {address[0]}, port {address[1]}")
        return self._primaries[address].explain(error)

    async def aclose(self) -> None:
        """Close the sessions, also those with the primaries."""
        for probe in (*self._probes, *self._primaries.values()):
            await probe.aclose()
