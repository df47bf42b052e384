"""Whether a Redis can serve: asked by a session of the probe's own."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from redis import exceptions

from app.health import Reason
from app.probes.blocking import Blocking
from app.probes.reasons import credential
from app.probes.redis_replies import of_redis
from app.probes.redis_server import RedisServer
from app.probes.redis_wire import WireConnection
from app.probes.session import SessionProbe
from app.probes.steps import Step, begins


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

    connection: WireConnection
    require: str

    async def introduce(self) -> None:
        """Say who is connected; a server without a password answers here first."""
        try:
            await self.connection.ask([("CLIENT", "SETNAME", CLIENT_NAME)], [b"OK"])
        except exceptions.ResponseError as error:
            if of_redis(error) not in {None, Reason.DENIED}:
                raise

    async def ask(self) -> None:
        """Ask; connecting was the question at the depth `connect`."""
        if self.require == "connect":
            return
        begins(Step.QUERY)
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
    reading = Blocking(partial(credential, password), "read a password") if password else None

    async def open_session() -> RedisSession:
        server.dialer.waiting_for = Reason.TIMEOUT
        connection = await server.connect(await reading() if reading else None)
        session = RedisSession(connection, require)
        try:
            await session.introduce()
        except BaseException:
            session.terminate()
            raise
        return session

    lasting = 0 if require == "connect" else renew_after
    probe = SessionProbe(open_session, server.explain, lasting, time.monotonic)
    async with aclosing(probe):
        yield probe
