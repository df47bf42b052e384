"""Whether a Redis can serve: asked by a session of the probe's own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from redis import exceptions

from app.health import Reason
from app.probes.blocking import Blocking
from app.probes.reasons import credential
from app.probes.redis_replies import of_redis
from app.probes.redis_server import DialedConnection, RedisServer
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
        connection = server.connection(await reading() if reading else None)
        session = RedisSession(connection, QUESTIONS[require])
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await session.introduce()
        except BaseException:
            session.terminate()
            raise
        return session

    lasting = 0 if require == "connect" else renew_after
    probe = SessionProbe(open_session, server.explain, lasting, time.monotonic)
    async with aclosing(probe):
        yield probe
