"""Whether a PostgreSQL can serve: asked by a session of the probe's own."""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg

from app.checks.errors import credential
from app.checks.network import BlockingCall, Stage, enter_stage
from app.checks.postgres_protocol import message
from app.checks.postgres_server import PostgresConnection, PostgresServer
from app.checks.session import SessionProbe, ignore_outcome
from app.health import Reason


# Seconds that an attempt waits for a session to end.
GOODBYE = 0.1

TERMINATE = message(b"X", b"")

# What has no parameters goes by the simple protocol: one round trip, and nothing left prepared,
# which PgBouncer's transaction mode would trip over. That protocol returns no rows here, so a
# server that takes no writes is made to say so by an error; in recovery every transaction is
# read-only. No grant is needed.
# The number is another one each time: the answer to an earlier question must not pass for the
# answer to this one, nor a proxy's cache for the server.
QUESTIONS = {
    "connect": "",
    "query": "SELECT {number}",
    "writable": "SELECT {number} / (current_setting('transaction_read_only') = 'off')::int"
    " /* vitals: divides by zero where writes are refused */",
}

# Beyond this an int4 ends.
NUMBERS = 2**31


@dataclass(frozen=True, slots=True)
class PostgresSession:
    """A session and the statement that it asks with."""

    connected: PostgresConnection
    question: str

    async def ask(self) -> None:
        """Run the statement. Without one, connecting was the question."""
        if not self.question:
            return
        enter_stage(Stage.QUERY)
        transport = self.connected.transport
        await transport.drop_unasked()
        number = str(secrets.randbelow(NUMBERS))
        answer = asyncio.create_task(transport.answer(number), name="read an answer")
        answer.add_done_callback(ignore_outcome)
        try:
            await self.connected.driver.execute(self.question.format(number=number))
        except asyncpg.InterfaceError as error:
            # The answer ended before asyncpg had asked.
            raise EOFError(error) from None
        except asyncpg.ConnectionDoesNotExistError:
            await answer  # has raised what this one is made of
            raise
        finally:
            answer.cancel()

    async def close(self) -> None:
        """Take the session off the server, which has given up the slot when it hangs up."""
        try:
            with contextlib.suppress(Exception):
                self.connected.wire.write(TERMINATE)
                async with asyncio.timeout(GOODBYE):
                    await self.connected.wire.ended()
        finally:
            self.terminate()

    def terminate(self) -> None:
        """Cut the connection."""
        self.connected.abort()


def limit(seconds: float) -> str:
    """Write the statement that bounds the one after it.

    Within one message the statements are one transaction, so nothing stays set; as a parameter of
    the session PgBouncer would refuse it.
    """
    return f"SET LOCAL statement_timeout = {math.ceil(seconds * 1000)}; "


@asynccontextmanager
async def postgres(
    url: str,
    password: Callable[[], str] | None,
    *,
    require: str,
    renew_after: float,
    give_up_after: float = 60,
) -> AsyncIterator[SessionProbe]:
    """Make ready to ask a PostgreSQL; nothing is connected before the first question.

    Args:
        url: host, port, database and user; `sslmode`, `sslrootcert` and the folder of a Unix
            socket (`host`) in its query.
        password: read at each connection, so that a new one needs no restart; none where the
            server wants none.
        require: `connect`, `query` or `writable`.
        renew_after: seconds after which the session is opened anew.
        give_up_after: seconds after which the server gives up the statement: until then it does
            not see that the client has gone, and each attempt would leave a backend at work.

    """
    server = PostgresServer.of(url)
    question = QUESTIONS[require] and limit(give_up_after) + QUESTIONS[require]
    reading = BlockingCall(partial(credential, password), "read a password") if password else None

    async def open_session() -> PostgresSession:
        server.dialer.waiting_for = Reason.TIMEOUT
        connected = await server.connect(await reading() if reading else "")
        probe.password_not_requested = reading is not None and not connected.transport.was_asked
        return PostgresSession(connected, question)

    lasting = 0 if require == "connect" else renew_after
    probe = SessionProbe(open_session, server.explain, lasting, time.monotonic)
    with contextlib.closing(server.starts):
        async with aclosing(probe):
            yield probe
