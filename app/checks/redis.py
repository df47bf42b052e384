"""Whether a Redis can serve: asked by a session of the probe's own."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio.connection import parse_url

from app.checks.connection import BoundedConnection
from app.checks.errors import UNWANTED, credential, lookup_by_class
from app.checks.network import BlockingCall, Dialer, Stage, enter_stage, explain_network
from app.checks.resp import RespConnection
from app.checks.session import SessionProbe
from app.checks.tls import TrustStore
from app.health import Reason


REPLIES: Mapping[type[BaseException], Reason] = {
    exceptions.AskError: Reason.MISCONFIGURED,  # a cluster's node that does not hold the key
    exceptions.AuthenticationError: Reason.AUTH,
    exceptions.BusyLoadingError: Reason.STARTING,
    exceptions.ClusterDownError: Reason.NO_PRIMARY,
    exceptions.MasterDownError: Reason.NO_PRIMARY,
    exceptions.NoPermissionError: Reason.DENIED,
    exceptions.OutOfMemoryError: Reason.OUT_OF_MEMORY,
    exceptions.ReadOnlyError: Reason.READ_ONLY,
}

# What redis-py has no class of its own for, by how the server's message begins.
MESSAGES: Mapping[str, Reason] = {
    **dict.fromkeys(UNWANTED, Reason.AUTH),
    "BUSY": Reason.TIMEOUT,  # a script keeps it from answering anybody
    "DB index is out of range": Reason.MISCONFIGURED,
    "DENIED": Reason.DENIED,  # protected mode
    "MISCONF": Reason.PERSISTENCE,
    "NOREPLICAS": Reason.READ_ONLY,
    "invalid DB index": Reason.MISCONFIGURED,
    "max number of clients": Reason.TOO_MANY_CONNECTIONS,
}


def explain_redis(error: BaseException, dialer: Dialer) -> Reason:
    """Return the reason for an error of Redis or redis-py, or of the network."""
    if reason := lookup_by_class(REPLIES, error):
        return reason
    message = str(error).removeprefix("ERR ")
    for start, reason in MESSAGES.items():
        if message.startswith(start):
            return reason
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        # redis-py wraps what the socket raised, without naming it the cause.
        error = error.__context__ or EOFError()
    return explain_network(error, dialer)


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis, as a URL names it.

    Attributes:
        host: whom the certificate must speak for.
        trust: the servers to trust; None without TLS.
        options: what redis-py gets beside the password.

    """

    dialer: Dialer
    host: str
    trust: TrustStore | None
    options: Mapping[str, Any]

    @classmethod
    def of(cls, url: str) -> "RedisServer":
        """Read a URL."""
        target: dict[str, Any] = dict(parse_url(url))
        host = target.get("path") or target.get("host") or "localhost"
        secure = urlsplit(url).scheme == "rediss"
        return cls(
            dialer=Dialer(host, target.get("port", 6379)),
            host=host,
            trust=TrustStore(target.get("ssl_ca_certs")) if secure else None,
            options={
                "db": target.get("db", 0),
                "username": target.get("username"),
                "protocol": 2,
                "driver_info": None,
            },
        )

    async def connect(self, password: str | None) -> RespConnection:
        """Connect and authenticate.

        Raises:
            redis.ResponseError: the server refuses.
            ProtocolError: it is no Redis.
            OSError, EOFError: it can't be reached, or not with TLS (`ssl.SSLError`).

        """
        context = await self.trust.context() if self.trust else None
        wire = await BoundedConnection.open(self.dialer)
        try:
            if context:
                await wire.start_tls(context, self.host)
        except BaseException:
            wire.abort()
            raise
        enter_stage(Stage.AUTHENTICATION)
        connection = RespConnection(wire, password=password, **self.options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            connection.terminate()
            raise
        return connection


# How a session introduces itself in CLIENT LIST.
CLIENT_NAME = "vitals"

# A write is refused when it is queued, for want of memory, of a disk, of replicas or of being the
# primary; what was queued is discarded, so nothing is ever written.
PROBE_KEY = "vitals:probe"
WRITE = (("MULTI",), ("SET", PROBE_KEY, ""), ("DISCARD",))
WRITTEN = (b"OK", b"QUEUED", b"OK")


@dataclass(frozen=True, slots=True)
class RedisSession:
    """An authenticated connection to Redis, and how deep to ask."""

    connection: RespConnection
    require: str

    async def introduce(self) -> None:
        """Name the client. A server without a password answers here first."""
        await self.connection.ask([("CLIENT", "SETNAME", CLIENT_NAME)], [b"OK"])

    async def ask(self) -> None:
        """Ask; connecting was the question at the depth `connect`."""
        if self.require == "connect":
            return
        enter_stage(Stage.QUERY)
        self.connection.wire.renew()
        if self.require == "writable":
            await self.connection.ask(WRITE, WRITTEN)
        else:
            # The reply to an earlier question must not pass for the reply to this one.
            nonce = secrets.token_hex(8)
            await self.connection.ask([("PING", nonce)], [nonce.encode()])

    async def close(self) -> None:
        """Cut the connection; the socket is closed in the event loop's next iteration."""
        self.terminate()
        await asyncio.sleep(0)

    def terminate(self) -> None:
        """Cut the connection."""
        self.connection.terminate()


@asynccontextmanager
async def redis(
    url: str, password: Callable[[], str] | None, *, require: str, renew_after: float
) -> AsyncIterator[SessionProbe]:
    """Make ready to ask a Redis; nothing is connected before the first question.

    Args:
        url: `redis://`, `rediss://` or `unix://`; `ssl_ca_certs` in its query.
        password: read at each connection, so that a new one needs no restart; none where the
            server wants none.
        require: `connect`, `query` or `writable`.
        renew_after: seconds after which the session is opened anew.

    """
    server = RedisServer.of(url)
    reading = BlockingCall(partial(credential, password), "read a password") if password else None

    async def open_session() -> RedisSession:
        server.dialer.waiting_for = Reason.TIMEOUT
        connection = await server.connect(await reading() if reading else None)
        session = RedisSession(connection, require)
        try:
            await session.introduce()
        except BaseException as error:
            # Some providers remove the command CLIENT, and an ACL may deny it.
            is_optional = isinstance(error, exceptions.ResponseError)
            if not is_optional or probe.explain(error) not in {Reason.ERROR, Reason.DENIED}:
                session.terminate()
                raise
        return session

    lasting = 0 if require == "connect" else renew_after
    explain = partial(explain_redis, dialer=server.dialer)
    probe = SessionProbe(open_session, explain, lasting, time.monotonic)
    async with aclosing(probe):
        yield probe
