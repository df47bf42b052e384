"""Sessions with a Redis server: connecting as its URL says, the query, and the reasons."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redis import exceptions

from app.checks.connection import BoundedConnection
from app.checks.errors import PASSWORD_UNWANTED, ProtocolError, lookup_by_class
from app.checks.network import Dialer, Stage, enter_stage, explain_network
from app.checks.resp import RespConnection, expect, raise_refusal
from app.checks.session import SessionProbe
from app.checks.tls import TrustStore
from app.health import Facts, Reason
from app.health.reasons import Advice


REDIS_REASONS: Mapping[type[BaseException], Reason] = {
    exceptions.AskError: Reason.MISCONFIGURED,  # a node of a cluster that does not hold the key
    exceptions.AuthenticationError: Reason.AUTH,
    exceptions.BusyLoadingError: Reason.STARTING,
    exceptions.ClusterDownError: Reason.CLUSTER_DOWN,
    exceptions.MasterDownError: Reason.NO_PRIMARY,
    exceptions.NoPermissionError: Reason.DENIED,
    exceptions.OutOfMemoryError: Reason.OUT_OF_MEMORY,
    exceptions.ReadOnlyError: Reason.READ_ONLY,
}

# Errors for which redis-py has no class, by the start of the server's message.
MESSAGE_REASONS: Mapping[str, Reason] = {
    **dict.fromkeys(PASSWORD_UNWANTED, Reason.AUTH),
    "BUSY": Reason.TIMEOUT,  # a script blocks all clients
    "Connection refused": Reason.UNREACHABLE,  # between Twemproxy and its server
    "Connection timed out": Reason.UNREACHABLE,
    "DB index is out of range": Reason.MISCONFIGURED,
    "DENIED": Reason.DENIED,  # protected mode
    "MISCONF": Reason.PERSISTENCE,
    "NOREPLICAS": Reason.READ_ONLY,
    "This instance has cluster support disabled": Reason.MISCONFIGURED,
    "invalid DB index": Reason.MISCONFIGURED,
    "unknown command 'SENTINEL'": Reason.MISCONFIGURED,
    "max number of clients": Reason.TOO_MANY_CONNECTIONS,
}


def explain_redis(error: BaseException, dialer: Dialer) -> Reason:
    """Return the reason for an error of Redis or redis-py, or of the network."""
    if reason := lookup_by_class(REDIS_REASONS, error):
        return reason
    message = str(error).removeprefix("ERR ")
    for start, reason in MESSAGE_REASONS.items():
        if message.startswith(start):
            return reason
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        # redis-py wraps the socket's error, but does not set it as the cause.
        error = error.__context__ or EOFError()
    return explain_network(error, dialer)


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis server, and how to connect to it.

    Attributes:
        host: the host that the server's certificate must name.
        trust: the servers to trust; None without TLS.
        options: further arguments of redis-py, except the password.
    """

    dialer: Dialer
    host: str
    trust: TrustStore | None
    options: Mapping[str, Any]

    async def connect(self, password: str | None) -> RespConnection:
        """Connect and authenticate.

        Raises:
            redis.ResponseError: the server refuses.
            ProtocolError: it is not Redis.
            OSError, EOFError: the network or TLS (`ssl.SSLError`) failed.
        """
        context = await self.trust.context() if self.trust else None
        bounded = await BoundedConnection.open(self.dialer)
        bounded.enable_keepalive()
        connection = RespConnection(
            bounded, password=password, protocol=2, driver_info=None, **self.options
        )
        try:
            if context:
                await bounded.start_tls(context, self.host)
            enter_stage(Stage.AUTHENTICATION)
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            connection.terminate()
            raise
        return connection


PING, PONG = ("PING",), b"PONG"

# Redis refuses a write when it is queued, if it lacks memory, disk or replicas, or is not the
# primary. The queue is then discarded, so nothing is ever written. A server that refuses MULTI
# executes the SET instead, which changes only a key that exists.
PROBE_KEY = "vitals:probe"
READ = ("GET", PROBE_KEY)
WRITE = (("MULTI",), ("SET", PROBE_KEY, "", "XX"), ("DISCARD",))
WRITE_REPLIES = (b"OK", b"QUEUED", b"OK")


# https://redis.io/docs/latest/commands/cluster-info/
CLUSTER_INFO = ("CLUSTER", "INFO")
CLUSTER_NODES = ("CLUSTER", "NODES")
STATE = re.compile(rb"^cluster_state:(\w{1,20})\r?$", re.MULTILINE)
SERVED = re.compile(rb"^cluster_slots_ok:(\d{1,5})\r?$", re.MULTILINE)
SLOTS = 16384


def ensure_cluster(info: Any, *, is_complete: bool) -> None:
    """Raise an error unless a reply to CLUSTER INFO reports that the cluster serves.

    Args:
        is_complete: whether the cluster must serve all slots. Otherwise a cluster with
            `cluster-require-full-coverage no` passes.

    Raises:
        redis.ClusterDownError: the cluster does not serve.
        redis.ResponseError: the server refuses the command.
        ProtocolError: the reply belongs to another command.
    """
    raise_refusal(info)
    text = info if isinstance(info, bytes) else b""
    state, served = STATE.search(text), SERVED.search(text)
    if not state or not served:
        raise ProtocolError("a reply without the state of the cluster")
    if state[1] != b"ok" or (is_complete and int(served[1]) < SLOTS):
        served_slots = f"{int(served[1])} slots are served"
        raise exceptions.ClusterDownError(f"the state is {state[1].decode()}, and {served_slots}")


@dataclass(frozen=True, slots=True)
class RedisSession:
    """An authenticated connection to Redis.

    Attributes:
        depth: `connect`, `query` or `writable`.
        is_cluster: whether the server is a node of a Redis Cluster; None if it hides that.
        is_terse: whether the server closes the connection at optional commands, as Twemproxy does.
        learn_nodes: gets the reply to CLUSTER NODES, if that is to be asked.
    """

    connection: RespConnection
    depth: str
    is_cluster: bool | None
    is_terse: bool
    learn_nodes: Callable[[Any], None] | None = None

    async def query(self) -> None:
        """Send the commands that the depth asks for; none for `connect`."""
        if self.depth == "connect":
            return
        enter_stage(Stage.QUERY)
        self.connection.bounded.reset_budget()
        if self.depth == "writable" and not self.is_cluster:
            await self._write()
            return
        if self.is_terse:
            # Twemproxy answers PING itself.
            [value] = await self.connection.execute(READ)
            expect(value, None)
            return
        # The reply to an earlier PING must not be mistaken for this one's.
        nonce = secrets.token_hex(8)
        commands = [(*PING, nonce)]
        if self.is_cluster:
            commands += [CLUSTER_INFO, CLUSTER_NODES] if self.learn_nodes else [CLUSTER_INFO]
        pong, *replies = await self.connection.execute(*commands)
        expect(pong, nonce.encode())
        if self.is_cluster:
            # A node takes writes for its own slots only, so that none can stand for the others.
            ensure_cluster(replies[0], is_complete=self.depth == "writable")
        if self.is_cluster and self.learn_nodes:
            self.learn_nodes(replies[1])

    async def _write(self) -> None:
        replies = await self.connection.execute(*WRITE)
        is_redirected = isinstance(replies[1], exceptions.AskError)
        if self.is_cluster is None and is_redirected:
            return  # a node that serves other slots
        for reply, expected in zip(replies, WRITE_REPLIES, strict=True):
            expect(reply, expected)

    async def close(self) -> None:
        """Close the connection; the event loop closes the socket in its next iteration."""
        self.terminate()
        await asyncio.sleep(0)

    def terminate(self) -> None:
        """Close the connection at once."""
        self.connection.terminate()


# The name of the session in CLIENT LIST.
CLIENT_NAME = "vitals"

# Shown while the probe passes.
HIDDEN_CLUSTER = Advice(
    "It denies CLUSTER INFO or CLUSTER NODES, so that a Redis Cluster that is down may pass.",
    "If it belongs to a cluster, grant its user +cluster|info and +cluster|nodes.",
)


class RedisProbe(SessionProbe):
    """A probe of one server.

    Args:
        depth: `connect`, `query` or `writable`.
        read_password: None if the server wants none.
        needs_cluster: whether the server must belong to a Redis Cluster.
    """

    def __init__(
        self,
        server: RedisServer,
        depth: str,
        read_password: Callable[[], Awaitable[str]] | None,
        renew_after: float,
        *,
        needs_cluster: bool = False,
    ) -> None:
        super().__init__(self._open_session, self._explain_redis, renew_after)
        self.facts = lambda: Facts(self._server.dialer.certificate)
        self._server = server
        self._depth = depth
        self._read_password = read_password
        self._needs_cluster = needs_cluster
        self._is_terse = False

    async def __call__(self) -> None:
        """Query the server. A failure ends the memory of a server that is terse."""
        try:
            await super().__call__()
        except BaseException:
            self._is_terse = False
            raise

    def _explain_redis(self, error: BaseException) -> Reason:
        return explain_redis(error, self._server.dialer)

    async def _open_session(self) -> RedisSession:
        connection, is_terse = await self._connect(), self._is_terse
        try:
            is_cluster = await self._greet(connection, is_terse=is_terse)
        except BaseException as error:
            # The second connection of this attempt does without the optional commands.
            is_cut = isinstance(error, EOFError | ConnectionError)
            is_unanswered = is_cut and not connection.bounded.has_unread
            self._is_terse = is_unanswered and not self._needs_cluster
            connection.terminate()
            raise
        self.remark = HIDDEN_CLUSTER if is_cluster is None else None
        return RedisSession(connection, self._depth, is_cluster, is_terse)

    async def _connect(self) -> RespConnection:
        self._server.dialer.timeout_reason = Reason.TIMEOUT
        password = await self._read_password() if self._read_password else None
        return await self._server.connect(password)

    async def _greet(self, connection: RespConnection, *, is_terse: bool) -> bool | None:
        """Name the session, and return whether the server belongs to a Redis Cluster."""
        if is_terse:
            [pong] = await connection.execute(PING)
            expect(pong, PONG)
            return False
        is_asked = self._depth != "connect"
        # Without a password, these commands are the first that Redis answers.
        commands = [("CLIENT", "SETNAME", CLIENT_NAME), *([CLUSTER_INFO] if is_asked else [])]
        name, *infos = await connection.execute(*commands)
        if not self._lacks_command(name):
            expect(name, b"OK")
        for info in infos:
            if not self._lacks_command(info):
                ensure_cluster(info, is_complete=self._depth == "writable")
                return True
            if isinstance(info, exceptions.NoPermissionError):
                return None
            if self._needs_cluster:
                raise info
        return False

    def _lacks_command(self, reply: Any) -> bool:
        """Return whether a reply refuses a command that providers remove and ACLs may deny."""
        if not isinstance(reply, exceptions.ResponseError):
            return False
        is_denied = isinstance(reply, exceptions.NoPermissionError)
        return is_denied or self._explain_redis(reply) in {Reason.ERROR, Reason.MISCONFIGURED}
