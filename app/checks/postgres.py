"""The check of a PostgreSQL: one statement over a session of its own."""

import asyncio
import contextlib
import math
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg

from app.checks.errors import read_credential
from app.checks.network import BlockingCall, Stage, enter_stage
from app.checks.postgres_protocol import encode_message
from app.checks.postgres_server import PostgresConnection, PostgresServer
from app.checks.session import SessionProbe, ignore_outcome
from app.health import Reason


# Seconds that an attempt waits for the server to end a session.
CLOSE_TIMEOUT = 0.1

TERMINATE = encode_message(b"X", b"")

# A statement without parameters uses the simple protocol: one round trip, and no prepared
# statement, which would break PgBouncer's transaction mode. asyncpg returns no rows there, so
# `writable` raises an error if the server refuses writes; during recovery every transaction is
# read-only. No grant is needed.
# Each query has another number, so that no earlier result, nor one from a proxy's cache, can pass
# for its result.
STATEMENTS = {
    "connect": "",
    "query": "SELECT {number}",
    "writable": "SELECT {number} / (current_setting('transaction_read_only') = 'off')::int"
    " /* vitals: divides by zero where writes are refused */",
}

# An int4 is less than this.
NUMBERS = 2**31


@dataclass(frozen=True, slots=True)
class PostgresSession:
    """A session, and the statement that it runs.

    Attributes:
        statement: empty if connecting is all that is checked.

    """

    connection: PostgresConnection
    statement: str

    async def query(self) -> None:
        """Run the statement."""
        if not self.statement:
            return
        enter_stage(Stage.QUERY)
        transport = self.connection.transport
        await transport.drop_async_messages()
        number = str(secrets.randbelow(NUMBERS))
        result = asyncio.create_task(transport.relay_result(number), name="read a result")
        result.add_done_callback(ignore_outcome)
        try:
            await self.connection.driver.execute(self.statement.format(number=number))
        except asyncpg.InterfaceError as error:
            # The connection ended before asyncpg sent the query.
            raise EOFError(error) from None
        except asyncpg.ConnectionDoesNotExistError:
            await result  # raises the cause
            raise
        finally:
            result.cancel()

    async def close(self) -> None:
        """End the session, and wait a moment for the server: then its slot is free."""
        connection = self.connection.transport.connection
        try:
            with contextlib.suppress(Exception):
                connection.write(TERMINATE)
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await connection.wait_closed()
        finally:
            self.terminate()

    def terminate(self) -> None:
        """Close the connection at once."""
        self.connection.abort()


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
    server = PostgresServer.from_url(url)
    read = BlockingCall(partial(read_credential, password), "read a password") if password else None
    # In one message the two statements are one transaction, after which the setting is gone. As a
    # parameter of the session, PgBouncer would refuse it.
    limit = f"SET LOCAL statement_timeout = {math.ceil(give_up_after * 1000)}; "
    statement = STATEMENTS[require] and limit + STATEMENTS[require]

    async def open_session() -> PostgresSession:
        server.dialer.timeout_reason = Reason.TIMEOUT
        connection = await server.connect(await read() if read else "")
        requested = connection.transport.password_requested
        probe.password_not_requested = read is not None and not requested
        return PostgresSession(connection, statement)

    probe = SessionProbe(open_session, server.explain, 0 if require == "connect" else renew_after)
    with contextlib.closing(server.opener):
        async with aclosing(probe):
            yield probe
