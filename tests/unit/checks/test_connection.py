"""The budget of a connection, byte by byte and piece by piece."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from app.checks.connection import MAX_BYTES, MAX_FRAMES, MAX_READS, BoundedConnection
from app.checks.errors import ProtocolError, TlsAnswerError
from app.checks.network import Dialer


@pytest.fixture(name="connection")
async def _connection() -> AsyncIterator[BoundedConnection]:
    """Connect to a socket whose bytes come from the test: how the kernel splits them varies."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = await BoundedConnection.open(Dialer(*server.getsockname()))
        yield connection
        connection.abort()


@pytest.mark.parametrize(
    "pieces", [[bytes(MAX_BYTES)], [b"x"] * MAX_READS], ids=["bytes", "pieces"]
)
async def test_what_the_budget_allows_can_be_read_and_no_more(
    connection: BoundedConnection, pieces: list[bytes]
) -> None:
    """The limit itself is allowed."""
    for piece in pieces:
        connection.data_received(piece)
    assert await connection.read(len(b"".join(pieces))) == b"".join(pieces)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await connection.read(1)
    connection.data_received(b"x")
    with pytest.raises(ProtocolError, match=f"more than {MAX_BYTES} bytes or {MAX_READS} pieces"):
        await connection.read(2)


async def test_an_announced_length_may_fill_the_budget(connection: BoundedConnection) -> None:
    """A longer one is refused before it arrives."""
    connection.data_received(bytes(MAX_BYTES))
    assert await connection.read(MAX_BYTES) == bytes(MAX_BYTES)
    with pytest.raises(ProtocolError, match=f"announced {MAX_BYTES + 1} bytes"):
        await connection.read(MAX_BYTES + 1)


def fill_frames(connection: BoundedConnection) -> None:
    """Count as many messages as the budget allows."""
    for _ in range(MAX_FRAMES):
        connection.count_frames()


async def test_each_attempt_has_its_budget(connection: BoundedConnection) -> None:
    """The first one begins with the connection, so its login counts."""
    fill_frames(connection)
    connection.reset_budget()
    with pytest.raises(ProtocolError, match=f"more than {MAX_FRAMES} messages"):
        connection.count_frames()
    connection.reset_budget()
    fill_frames(connection)
    with pytest.raises(ProtocolError):
        connection.count_frames()


async def test_the_end_of_a_connection_has_its_own_words(connection: BoundedConnection) -> None:
    """They are in the log, where a look-up of their meaning begins."""
    connection.data_received(b"x")
    connection.connection_lost(None)
    with pytest.raises(EOFError, match=r"^closed the connection$"):
        await connection.read(2)


async def test_tls_where_plain_text_is_expected_has_its_own_words(
    connection: BoundedConnection,
) -> None:
    """The start of an alert, as a server that expects TLS answers."""
    connection.data_received(b"\x15\x03\x01")
    with pytest.raises(TlsAnswerError, match=r"^answers with TLS where plain text is expected$"):
        await connection.read(9)
