"""asyncpg on a `BoundedConnection`: it may write anything, and reads only checked messages.

asyncpg's parser is C code that trusts the server: a negative length ends the process. So asyncpg
gets only the messages that it needs, each whole, expected and valid.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.checks.connection import BoundedConnection
from app.checks.errors import ProtocolError
from app.checks.network import Stage, enter_stage
from app.checks.postgres_condition import check_condition
from app.checks.postgres_protocol import (
    ASYNC_MESSAGES,
    LOGIN_NOTICES,
    PostgresLogin,
    encode_message,
    is_ascii_string,
    parse_row,
    read_message,
)
from app.checks.postgres_statement import Statement
from app.checks.session import ignore_outcome


# What asyncpg reads at the start of a session: authentication is complete, and a fixed version.
# The server's own parameters are not passed on, since the statements of a probe need none.
SESSION_START = encode_message(b"R", bytes(4)) + encode_message(
    b"S", b"server_version\0" + b"14.0\0"
)
READY_FOR_QUERY = {encode_message(b"Z", status) for status in (b"I", b"T", b"E")}

RESULT_MESSAGES = frozenset({b"T", b"D", b"C", b"Z"})

# Seconds for a replica to replay what it has received, if there is no recent position.
REPLAY_PAUSE = 0.2

WRONG_RESULT = "a result that does not belong to the query"


class AsyncpgTransport(asyncio.Transport):
    """The transport that asyncpg writes to.

    Attributes:
        connection: the connection to the server.
        password_requested: whether the server has asked for a password.
    """

    def __init__(self, connection: BoundedConnection, protocol: Any) -> None:
        super().__init__()
        self.connection = connection
        self.password_requested = False
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what asyncpg writes."""
        self.connection.write(bytes(data))

    def close(self) -> None:
        """Close the connection at once."""
        self.connection.abort()

    abort = close

    async def start_session(self, login: PostgresLogin) -> None:
        """Log in, wait until the server is ready for a query, and report that to asyncpg.

        Raises:
            as `PostgresLogin`.
        """
        self._protocol.connection_made(self)  # asyncpg sends the startup message
        self.password_requested = await login(self.connection)
        kind, status = b"", b""
        while kind != b"Z":
            kind, status = await read_message(self.connection, {b"S", b"K", b"Z", *LOGIN_NOTICES})
        self._protocol.data_received(SESSION_START + _ready_for_query(status))

    async def drop_async_messages(self) -> None:
        """Read what has arrived since the last result, and start a new budget.

        Raises:
            PostgresServerError: the server has ended the session.
            ProtocolError: the server has sent a result without a query.
            EOFError, OSError: the connection has ended.
        """
        while self.connection.has_unread:
            await read_message(self.connection, ASYNC_MESSAGES)
        self.connection.reset_budget()

    async def relay_result(self) -> list[bytes | None]:
        """Pass the result of a query to asyncpg. On an error, end asyncpg's wait for it.

        Returns:
            The values of the one row of the second statement. The first returns nothing.

        Raises:
            as `drop_async_messages`.
        """
        try:
            messages, values = await self._read_result()
            self._protocol.data_received(messages)
        except BaseException as error:
            lost = error if isinstance(error, Exception) else None
            self._protocol.connection_lost(lost)
            raise
        return values

    async def _read_result(self) -> tuple[bytes, list[bytes | None]]:
        """Read a result; return the messages of it that asyncpg needs, and the row."""
        kinds, row, complete, kind, content = b"", b"", b"", b"", b""
        while kind != b"Z":
            kind, content = await read_message(self.connection, ASYNC_MESSAGES | RESULT_MESSAGES)
            kinds += kind if kind in RESULT_MESSAGES else b""
            if kind == b"D":
                row = content
            if kind == b"C":
                complete = encode_message(kind, content)
                if not is_ascii_string(content):
                    raise ProtocolError("the end of a statement without its tag")
        if kinds != b"CTDCZ":
            raise ProtocolError(WRONG_RESULT)
        return complete + _ready_for_query(content), parse_row(row)


def _ready_for_query(status: bytes) -> bytes:
    ready = encode_message(b"Z", status)
    if ready not in READY_FOR_QUERY:
        raise ProtocolError("ready for a query, with an unknown transaction status")
    return ready


class AsyncpgLoop:
    """A proxy of the running event loop that gives asyncpg our connection.

    Attributes:
        transport: the transport of the session, once asyncpg has connected.
    """

    def __init__(self, connection: BoundedConnection, login: PostgresLogin) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._login = login
        self.transport: AsyncpgTransport | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Any, *_: Any) -> tuple[AsyncpgTransport, Any]:
        """Start a session on the connection.

        Raises:
            ConnectionError: asyncpg wants a second connection, to cancel a statement. The server
                ends the statement by itself.
            Exception: as `PostgresLogin`.
        """
        if self.transport:
            raise ConnectionError("asyncpg may open one connection")
        enter_stage(Stage.AUTHENTICATION)
        protocol = factory()
        self.transport = AsyncpgTransport(self._connection, protocol)
        await self.transport.start_session(self._login)
        return self.transport, protocol


# Seconds that an attempt waits for the server to end a session.
CLOSE_TIMEOUT = 0.1

TERMINATE = encode_message(b"X", b"")

# An int4 is less than this.
NUMBERS = 2**31


@dataclass(frozen=True, slots=True)
class PostgresSession:
    """A session of asyncpg, and the statement that it runs.

    Attributes:
        driver: asyncpg's connection.
        transport: the transport below it.
        statement: None if connecting is all that is checked.
    """

    driver: Any
    transport: AsyncpgTransport
    statement: Statement | None

    async def query(self) -> None:
        """Run the statement.

        Raises:
            RequirementError: the server does not meet a requirement, or the condition.
        """
        if not self.statement:
            return
        enter_stage(Stage.QUERY)
        if (lag := self.statement.lag) and lag.needs_position:
            # The pause lets a replica replay what has just arrived from an idle primary.
            await self._run(self.statement)
            await asyncio.sleep(min(REPLAY_PAUSE, self.statement.timeout / 4))
        await self._run(self.statement)
        if condition := self.statement.condition:
            await check_condition(self.transport.connection, condition, self.statement.limit)

    async def _run(self, statement: Statement) -> None:
        await self.transport.drop_async_messages()
        number = secrets.randbelow(NUMBERS)
        result = asyncio.create_task(self.transport.relay_result(), name="read a result")
        result.add_done_callback(ignore_outcome)
        try:
            await self.driver.execute(statement.compose(number))
            values = await result
        except asyncpg.InterfaceError as error:
            # The connection ended before asyncpg sent the query.
            raise EOFError(error) from None
        except asyncpg.ConnectionDoesNotExistError:
            await result  # raises the cause
            raise
        finally:
            result.cancel()
        if values[:1] != [str(number).encode()]:
            raise ProtocolError(WRONG_RESULT)
        statement.verify(values[1:])

    async def close(self) -> None:
        """End the session, and wait a moment for the server: then its slot is free."""
        connection = self.transport.connection
        try:
            with contextlib.suppress(Exception):
                connection.write(TERMINATE)
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await connection.wait_closed()
        finally:
            self.terminate()

    def terminate(self) -> None:
        """Close the connection at once."""
        self.driver.terminate()
