"""Whether a Redis can serve: asked by a session of the probe's own."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.health import Reason
from app.probes.blocking import Blocking
from app.probes.dialer import Dialer
from app.probes.reasons import by_class, credential
from app.probes.session import SessionProbe
from app.probes.steps import Step, begins


# How a session introduces itself in CLIENT LIST.
CLIENT_NAME = "vitals"

# A write is refused when it is queued, for want of memory, of a disk, of replicas or of being the
# primary; what was queued is discarded, so nothing is ever written.
PROBE_KEY = "vitals:probe"
QUESTIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "connect": (),
    "query": (("PING",),),
    "writable": (("MULTI",), ("SET", PROBE_KEY, ""), ("DISCARD",)),
}

REPLIES: Mapping[type[BaseException], Reason] = {
    exceptions.AskError: Reason.MISCONFIGURED,  # a cluster's node that does not hold the key
    exceptions.AuthenticationError: Reason.AUTH,
    exceptions.BusyLoadingError: Reason.STARTING,
    exceptions.ClusterDownError: Reason.NO_PRIMARY,
    exceptions.InvalidResponse: Reason.PROTOCOL,
    exceptions.MasterDownError: Reason.NO_PRIMARY,
    exceptions.NoPermissionError: Reason.DENIED,
    exceptions.OutOfMemoryError: Reason.OUT_OF_MEMORY,
    exceptions.ReadOnlyError: Reason.READ_ONLY,
}

# What redis-py has no class of its own for, by how the server's message begins.
MESSAGES: Mapping[str, Reason] = {
    "BUSY": Reason.TIMEOUT,  # a script keeps it from answering anybody
    "DB index is out of range": Reason.MISCONFIGURED,
    "DENIED": Reason.DENIED,  # protected mode
    "MISCONF": Reason.PERSISTENCE,
    "NOREPLICAS": Reason.READ_ONLY,
    "invalid DB index": Reason.MISCONFIGURED,
    "max number of clients": Reason.TOO_MANY_CONNECTIONS,
}


class DialedConnection(Connection):
    """A connection of redis-py's that reaches its server through a dialer."""

    def __init__(self, dialer: Dialer, context: ssl.SSLContext | None, **options: Any) -> None:
        # By default redis-py takes seconds for a closed port and a minute for a silent one.
        super().__init__(retry=Retry(NoBackoff(), 0), socket_timeout=None, **options)
        self._dialer = dialer
        self._context = context
        self._transport: asyncio.WriteTransport | None = None

    async def _connect(self) -> None:
        connected = await self._dialer.dial()
        if self._context:
            begins(Step.TLS)
        reader, writer = await asyncio.open_connection(
            sock=connected,
            ssl=self._context,
            server_hostname=self.host if self._context else None,
        )
        self._reader, self._writer, self._transport = reader, writer, writer.transport
        begins(Step.AUTHENTICATION)

    def terminate(self) -> None:
        """Cut the connection; TLS would otherwise wait for the other side's goodbye."""
        if self._transport:
            self._transport.abort()
        self._close()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class RedisSession:
    """An authenticated connection to Redis and the commands that it puts."""

    connection: DialedConnection
    question: tuple[tuple[str, ...], ...]

    async def introduce(self) -> None:
        """Say who is connected; a server without a password answers here first."""
        await self.connection.send_command("CLIENT", "SETNAME", CLIENT_NAME)
        try:
            await self.connection.read_response()
        except exceptions.ResponseError as error:
            if of_redis(error) not in {None, Reason.DENIED}:
                raise

    async def ask(self) -> None:
        """Send the commands in one piece; connecting was the question where there are none."""
        if self.question:
            begins(Step.QUERY)
            await self.connection.send_packed_command(self.connection.pack_commands(self.question))
        for _ in self.question:
            await self.connection.read_response()

    async def close(self) -> None:
        """Redis wants no goodbye; the socket is closed in the event loop's next turn."""
        self.terminate()
        await asyncio.sleep(0)

    def terminate(self) -> None:
        """Cut the connection."""
        self.connection.terminate()


def of_redis(error: BaseException) -> Reason | None:
    """Explain what Redis or redis-py says, if it is theirs."""
    if known := by_class(REPLIES, error):
        return known
    message = str(error)
    return next((why for start, why in MESSAGES.items() if message.startswith(start)), None)


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
    target: dict[str, Any] = dict(parse_url(url))
    host = target.get("path") or target.get("host") or "localhost"
    port = target.get("port", 6379)
    context = None
    if urlsplit(url).scheme == "rediss":
        context = ssl.create_default_context(cafile=target.get("ssl_ca_certs"))
    dialer = Dialer(host, port)

    reading = Blocking(partial(credential, password), "read a password") if password else None

    async def open_session() -> RedisSession:
        dialer.waiting_for = Reason.TIMEOUT
        connection = DialedConnection(
            dialer,
            context,
            host=host,
            port=port,
            db=target.get("db", 0),
            username=target.get("username"),
            password=await reading() if reading else None,
            protocol=2,
            driver_info=None,
        )
        session = RedisSession(connection, QUESTIONS[require])
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await session.introduce()
        except BaseException:
            session.terminate()
            raise
        return session

    def explain(error: BaseException) -> Reason:
        # redis-py wraps what the socket raised, without naming it the cause.
        wrapped = isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError)
        raised = error.__context__ or EOFError() if wrapped else error
        return of_redis(error) or dialer.explain(raised)

    lasting = 0 if require == "connect" else renew_after
    async with aclosing(SessionProbe(open_session, explain, lasting, time.monotonic)) as probe:
        yield probe
