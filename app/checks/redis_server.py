"""Sessions with a Redis server: connecting as its URL says, the query, and the reasons."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import exceptions

from app.checks.connection import BoundedConnection
from app.checks.errors import PASSWORD_UNWANTED, lookup_by_class
from app.checks.network import Dialer, Stage, enter_stage, explain_network
from app.checks.redis_url import RedisTarget
from app.checks.resp import RespConnection
from app.checks.tls import TrustStore
from app.health import Reason


REDIS_REASONS: Mapping[type[BaseException], Reason] = {
    exceptions.AskError: Reason.MISCONFIGURED,  # a node of a cluster that does not hold the key
    exceptions.AuthenticationError: Reason.AUTH,
    exceptions.BusyLoadingError: Reason.STARTING,
    exceptions.ClusterDownError: Reason.NO_PRIMARY,
    exceptions.MasterDownError: Reason.NO_PRIMARY,
    exceptions.NoPermissionError: Reason.DENIED,
    exceptions.OutOfMemoryError: Reason.OUT_OF_MEMORY,
    exceptions.ReadOnlyError: Reason.READ_ONLY,
}

# Errors for which redis-py has no class, by the start of the server's message.
MESSAGE_REASONS: Mapping[str, Reason] = {
    **dict.fromkeys(PASSWORD_UNWANTED, Reason.AUTH),
    "BUSY": Reason.TIMEOUT,  # a script blocks all clients
    "DB index is out of range": Reason.MISCONFIGURED,
    "DENIED": Reason.DENIED,  # protected mode
    "MISCONF": Reason.PERSISTENCE,
    "NOREPLICAS": Reason.READ_ONLY,
    "invalid DB index": Reason.MISCONFIGURED,
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
        options: the arguments of redis-py, except the password.
    """

    dialer: Dialer
    host: str
    trust: TrustStore | None
    options: Mapping[str, Any]

    @classmethod
    def of_target(cls, target: RedisTarget, system: TrustStore) -> "RedisServer":
        """Return the server that a URL names. *system* trusts the CAs of the system."""
        ((host, port),) = target.hosts
        return cls(
            dialer=Dialer(host, port),
            host=host,
            trust=target.tls.trust(system) if target.tls else None,
            options={
                "db": target.database,
                "username": target.username or None,
                "protocol": 2,
                "driver_info": None,
            },
        )

    async def connect(self, password: str | None) -> RespConnection:
        """Connect and authenticate.

        Raises:
            redis.ResponseError: the server refuses.
            ProtocolError: it is not Redis.
            OSError, EOFError: the network or TLS (`ssl.SSLError`) failed.
        """
        context = await self.trust.context() if self.trust else None
        bounded = await BoundedConnection.open(self.dialer)
        connection = RespConnection(bounded, password=password, **self.options)
        try:
            if context:
                await bounded.start_tls(context, self.host)
            enter_stage(Stage.AUTHENTICATION)
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            connection.terminate()
            raise
        return connection


# Redis refuses a write when it is queued, if it lacks memory, disk or replicas, or is not the
# primary. The queue is then discarded, so nothing is ever written.
PROBE_KEY = "vitals:probe"
WRITE = (("MULTI",), ("SET", PROBE_KEY, ""), ("DISCARD",))
WRITE_REPLIES = (b"OK", b"QUEUED", b"OK")


@dataclass(frozen=True, slots=True)
class RedisSession:
    """An authenticated connection to Redis.

    Attributes:
        require: `connect`, `query` or `writable`.
    """

    connection: RespConnection
    require: str

    async def query(self) -> None:
        """Send the commands that *require* asks for; none for `connect`."""
        if self.require == "connect":
            return
        enter_stage(Stage.QUERY)
        self.connection.bounded.reset_budget()
        if self.require == "writable":
            await self.connection.execute(WRITE, WRITE_REPLIES)
        else:
            # The reply to an earlier PING must not be mistaken for this one's.
            nonce = secrets.token_hex(8)
            await self.connection.execute([("PING", nonce)], [nonce.encode()])

    async def close(self) -> None:
        """Close the connection; the event loop closes the socket in its next iteration."""
        self.terminate()
        await asyncio.sleep(0)

    def terminate(self) -> None:
        """Close the connection at once."""
        self.connection.terminate()
