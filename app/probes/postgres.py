"""Whether a PostgreSQL can serve: asked by a session of the probe's own."""

import contextlib
import math
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import make_url

from app.health import Reason
from app.probes.blocking import Blocking
from app.probes.dialer import Dialer
from app.probes.dialing_loop import DialingLoop
from app.probes.reasons import credential
from app.probes.session import SessionProbe
from app.probes.sqlstates import of_postgres
from app.probes.sslmode import Security, securities, wants_another
from app.probes.steps import Step, begins


# How a session introduces itself in pg_stat_activity and in the server's log.
APPLICATION_NAME = "vitals"

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


async def connect(dialer: Dialer, security: Security, arguments: Mapping[str, Any]) -> Any:
    """Connect over the dialer, and leave nothing behind where that fails."""
    # Where TLS is a wish, asyncpg does not tell that it is refused.
    demanded = isinstance(security, ssl.SSLContext)
    loop = DialingLoop(dialer, Step.TLS if demanded else Step.AUTHENTICATION)
    try:
        return await asyncpg.connect(
            **arguments,
            ssl=security,
            loop=loop,
            timeout=None,  # the deadline is the monitor's
            # Given, so that asyncpg does not look for them in the environment.
            direct_tls=False,
            target_session_attrs="any",
        )
    except BaseException:
        loop.abort()
        raise


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
    target = make_url(url)
    query = {key: str(value) for key, value in target.query.items()}
    folder = query.get("host", "")
    port = target.port or 5432
    dialer = Dialer(f"{folder}/.s.PGSQL.{port}" if folder else target.host or "localhost", port)
    ways = securities(query.get("sslmode", "prefer"), query.get("sslrootcert"))
    arguments = {
        "host": folder or target.host or "localhost",
        "port": port,
        "user": target.username,
        "database": target.database or target.username,
        "server_settings": {"application_name": APPLICATION_NAME},
    }

    # Within one message the statements are one transaction, so nothing stays set; as a parameter of
    # the session PgBouncer would refuse it.
    limit = f"SET LOCAL statement_timeout = {math.ceil(give_up_after * 1000)}; "
    question = QUESTIONS[require] and limit + QUESTIONS[require]

    reading = Blocking(partial(credential, password), "read a password") if password else None

    async def open_session() -> PostgresSession:
        # An empty password keeps asyncpg from looking for one in the environment and at home.
        dialer.waiting_for = Reason.TIMEOUT
        word = await reading() if reading else ""
        for security in ways:
            try:
                connection = await connect(dialer, security, arguments | {"password": word})
            except (OSError, asyncpg.PostgresError) as error:
                if security is ways[-1] or not wants_another(error):
                    raise
            else:
                break
        return PostgresSession(connection, question)

    def explain(error: BaseException) -> Reason:
        return of_postgres(
            error, wants_tls=len(ways) == 1 and isinstance(ways[0], ssl.SSLContext)
        ) or dialer.explain(error)

    lasting = 0 if require == "connect" else renew_after
    async with aclosing(SessionProbe(open_session, explain, lasting, time.monotonic)) as probe:
        yield probe
