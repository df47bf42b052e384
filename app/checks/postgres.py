"""The check of a PostgreSQL: one statement over a session of its own."""

import contextlib
import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

from app.checks.errors import read_credential
from app.checks.network import BlockingCall
from app.checks.postgres_driver import PostgresSession
from app.checks.postgres_server import PostgresServer
from app.checks.session import SessionProbe
from app.health import Reason


# A statement without parameters uses the simple protocol: one round trip, and no prepared
# statement, which would break PgBouncer's transaction mode. asyncpg returns no rows there, so
# `writable` raises an error if the server refuses writes; during recovery every transaction is
# read-only. No grant is needed.
# Each query has another number, so that no earlier result, nor one from a proxy's cache, can be
# mistaken for its result.
STATEMENTS = {
    "connect": "",
    "query": "SELECT {number}",
    "writable": "SELECT {number} / (current_setting('transaction_read_only') = 'off')::int"
    " /* vitals: divides by zero where writes are refused */",
}


@asynccontextmanager
async def postgres(
    url: str,
    password: Callable[[], str] | None,
    *,
    require: str,
    renew_after: float,
    give_up_after: float = 60,
) -> AsyncIterator[SessionProbe]:
    """Provide a probe of a PostgreSQL. It connects at its first attempt.

    Args:
        url: host, port, database and user; `sslmode`, `sslrootcert` and the folder of a Unix
            socket (`host`) in its query.
        password: returns the password, at each connection; None if the server asks for none.
        require: `connect`, `query` or `writable`.
        renew_after: seconds after which the session is replaced.
        give_up_after: seconds after which the server cancels the statement. It does not notice
            that a client has gone, so each attempt would leave a busy backend behind.
    """
    # In one message the two statements are one transaction, after which the setting is gone. As a
    # parameter of the session, PgBouncer would refuse it.
    limit = f"SET LOCAL statement_timeout = {math.ceil(give_up_after * 1000)}; "
    statement = STATEMENTS[require] and limit + STATEMENTS[require]
    server = PostgresServer.from_url(url, statement)
    read = BlockingCall(partial(read_credential, password), "read a password") if password else None

    async def open_session() -> PostgresSession:
        server.dialer.timeout_reason = Reason.TIMEOUT
        session = await server.open_session(await read() if read else "")
        requested = session.transport.password_requested
        probe.password_not_requested = read is not None and not requested
        return session

    probe = SessionProbe(open_session, server.explain, 0 if require == "connect" else renew_after)
    with contextlib.closing(server.opener):
        async with aclosing(probe):
            yield probe
