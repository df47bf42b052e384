"""What a server may send after the query of a condition."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.check_factory import advise
from app.checks.connection import BoundedConnection
from app.checks.errors import CONDITION_WRITES, ProtocolError
from app.checks.network import Dialer
from app.checks.postgres_condition import check_condition
from app.checks.postgres_protocol import PostgresServerError
from app.checks.postgres_statement import RequirementError
from app.health import Reason
from tests.service.hostile.postgres_server import error, message, parameter, row
from tests.support.devservers import Postgres
from tests.support.specs import postgres as open_postgres
from tests.support.specs import spec_of


READY = message(b"Z", b"I")
BEGUN = message(b"C", b"BEGIN\0") + message(b"C", b"SET\0") + message(b"Z", b"T")
BOUND = message(b"1") + message(b"2")
COLUMN = message(b"T", b"\0\1" + b"?column?\0" + struct.pack("!ihihih", 0, 0, 16, 1, -1, 0))
SELECTED = message(b"C", b"SELECT 1\0")
DONE = message(b"Z", b"T") + message(b"C", b"ROLLBACK\0") + READY
TRUE = BEGUN + BOUND + COLUMN + row(b"t") + SELECTED + DONE
NOTICE = message(b"N", b"SNOTICE\0C00000\0Mbe warned\0\0")


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[BoundedConnection]:
    """Connect to a server that answers the first query so, and closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        connection = await BoundedConnection.open(Dialer("127.0.0.1", port))
        try:
            yield connection
        finally:
            connection.abort()


@pytest.mark.parametrize("answer", [TRUE, NOTICE + parameter(b"a", b"b") + TRUE])
async def test_true_passes(answer: bytes) -> None:
    """Notices and parameters may come at any time."""
    async with answering(answer) as connection:
        await check_condition(connection, "SELECT true", "SET LOCAL statement_timeout = 1")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (BEGUN, EOFError),
        (BEGUN + error(b"42703"), PostgresServerError),
        (BEGUN + error(b"42703") + DONE, PostgresServerError),
        (error(b"57P01"), PostgresServerError),
        (TRUE.replace(row(b"t"), row(b"f")), RequirementError),
        (TRUE.replace(row(b"t"), b""), RequirementError),
        (TRUE.replace(row(b"t"), row(b"t") * 3), ProtocolError),
        (TRUE.replace(row(b"t"), message(b"D", b"\0\1\0\0\0\2t")), ProtocolError),
        (TRUE.replace(row(b"t"), message(b"D", b"")), ProtocolError),
        (TRUE.replace(COLUMN, b""), ProtocolError),
        (TRUE.replace(COLUMN, message(b"T", b"")), RequirementError),
        (TRUE.replace(COLUMN, message(b"T", b"\0\1")), RequirementError),
        (TRUE.replace(BOUND, b""), ProtocolError),
        (TRUE.replace(BOUND, BOUND * 40), ProtocolError),
        (TRUE.replace(SELECTED, b""), ProtocolError),
        (TRUE.replace(SELECTED, message(b"G", b"\0\0\0")), ProtocolError),
        (READY * 3, ProtocolError),
        (NOTICE * 200 + TRUE, ProtocolError),
        (message(b"T", b"", 2**30), ProtocolError),
    ],
)
async def test_anything_else_fails(answer: bytes, expected: type[Exception]) -> None:
    """The server's own error has priority over the end of the connection."""
    async with answering(answer) as connection:
        with pytest.raises(expected):
            await check_condition(connection, "SELECT true", "SET LOCAL statement_timeout = 1")


@pytest.mark.parametrize(
    "condition",
    [
        "SELECT true FROM pg_class FOR UPDATE",
        "SELECT true INTO copy",
        "WITH gone AS (DELETE FROM pg_class RETURNING 1) SELECT true",
    ],
)
async def test_a_condition_that_writes_is_read_only(postgres: Postgres, condition: str) -> None:
    """The transaction is. The text selects the advice, as the server itself is a primary."""
    read = postgres.password_file.read_text
    async with open_postgres(
        postgres.url, read, require="writable", renew_after=86400, condition=condition
    ) as probe:
        with pytest.raises(RequirementError, match=CONDITION_WRITES) as raised:
            await probe()
        assert probe.explain(raised.value) is Reason.READ_ONLY
        assert "Correct the condition" in str(advise(spec_of("postgres"), probe, raised.value))
