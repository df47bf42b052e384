"""A raw TCP connection, for tests that control every byte."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Self

import pytest


# Seconds to wait for expected data, and to verify that no data arrives.
DEADLINE = 3
SILENCE = 0.05


class RawConnection:
    """One end of a TCP connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.settimeout(0)

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, port: int) -> AsyncIterator[Self]:
        """Connect to a port of 127.0.0.1."""
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            peer = cls(connection)
            await asyncio.wait_for(loop.sock_connect(connection, ("127.0.0.1", port)), DEADLINE)
            yield peer

    @classmethod
    @contextlib.asynccontextmanager
    async def accept(cls, listener: socket.socket) -> AsyncIterator[Self]:
        """Accept a connection."""
        listener.settimeout(0)
        accepting = asyncio.get_running_loop().sock_accept(listener)
        connection, _ = await asyncio.wait_for(accepting, DEADLINE)
        with connection:
            yield cls(connection)

    def send(self, data: bytes) -> None:
        """Send what fits into the socket's buffer; `expect` reports a closed connection."""
        with contextlib.suppress(ConnectionError, BlockingIOError):
            self._connection.send(data)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    async def expect(self, data: bytes, end: type[Exception] = TimeoutError) -> None:
        """Assert that *data* arrives, followed by *end*; a TimeoutError means silence."""
        received = b""
        while len(received) < len(data):
            received += await self._receive(len(data) - len(received), DEADLINE)
        assert received == data
        with pytest.raises(end):
            await self._receive(1, SILENCE if end is TimeoutError else DEADLINE)

    async def _receive(self, size: int, deadline: float) -> bytes:
        receiving = asyncio.get_running_loop().sock_recv(self._connection, size)
        if received := await asyncio.wait_for(receiving, deadline):
            return received
        raise EOFError


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, for at most DEADLINE seconds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.002)
