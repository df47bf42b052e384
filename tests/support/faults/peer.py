"""A TCP connection on which a test controls every byte."""

import asyncio
import contextlib
import socket


# Seconds to wait for expected data, and to verify that no data arrives.
DEADLINE = 3
SILENCE = 0.05


def connect(port: int) -> socket.socket:
    """Connect to a port of 127.0.0.1."""
    return socket.create_connection(("127.0.0.1", port), DEADLINE)


def send(connection: socket.socket, data: bytes) -> None:
    """Send what fits into the socket's buffer; `expect` reports a closed connection."""
    connection.settimeout(0)
    with contextlib.suppress(ConnectionError, BlockingIOError):
        connection.send(data)


async def expect(
    connection: socket.socket, data: bytes, end: type[Exception] = TimeoutError
) -> None:
    """Assert that *data* arrives, followed by *end*: silence, a reset, or EOFError for a close."""
    await asyncio.to_thread(_expect, connection, data, end)


def _expect(connection: socket.socket, data: bytes, end: type[Exception]) -> None:
    received, part = b"", None
    ended: type[Exception] = EOFError
    try:
        while part != b"":
            is_over = end is TimeoutError and len(received) >= len(data)
            connection.settimeout(SILENCE if is_over else DEADLINE)
            part = connection.recv(65536)
            received += part
    except OSError as error:
        ended = type(error)
    assert (received, ended) == (data, end)
