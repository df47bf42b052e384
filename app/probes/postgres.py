"""Whether a PostgreSQL can serve: asked by a session of the probe's own."""

import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg

from app.health import Reason
from app.probes.blocking import Blocking
from app.probes.postgres_server import PostgresServer
from app.probes.reasons import credential
from app.probes.session import SessionProbe
from app.probes.steps import Step, begins


# Seconds that taking leave may cost an attempt.
GOODBYE = 0.1

# What has no parameters goes by the simple protocol: one round trip, and nothing left prepared,
# which PgBouncer's transaction mode would trip over. That protocol returns no rows here, so a
# server that takes no writes is made to say so by an error; in recovery every transaction is
# read-only. No grant is needed.
QUESTIONS = {
    "connect": "",
    "query": "SELECT 1",
    "writable": "SELECT 1 / (current_setting('transaction_read_only') = 'off')::int"
    " /* vitals: divides by zero where writes are refused */",
}


@dataclass(frozen=True, slots=True)
class PostgresSession:
    """A connection to PostgreSQL and the statement that it puts."""

    connection: Any
    question: str

    async def ask(self) -> None:
        """Put the statement; connecting was the question where there is none."""
        if self.question:
            begins(Step.QUERY)
            try:
                await self.connection.execute(self.question)
            except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                # So asyncpg tells of a session that was ended before it was asked.
                raise EOFError(error) from None

    async def close(self) -> None:
        """Say goodbye and wait until the server has given up the slot."""
        with contextlib.suppress(Exception):
            await self.connection.close(timeout=GOODBYE)

    def terminate(self) -> None:
        """Cut the connection."""
        self.connection.terminate()


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
    reading = Blocking(partial(credential, password), "read a password") if password else None

    async def open_session() -> PostgresSession:
        server.dialer.waiting_for = Reason.TIMEOUT
        # An empty password keeps asyncpg from looking for one in the environment and at home.
        connection = await server.connect(await reading() if reading else "")
        return PostgresSession(connection, question)

    lasting = 0 if require == "connect" else renew_after
    probe = SessionProbe(open_session, server.explain, lasting, time.monotonic)
    async with aclosing(probe):
        yield probe
