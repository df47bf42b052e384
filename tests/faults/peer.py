"""One end of a connection, for tests that say exactly what it meets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Self

import pytest


# Seconds: for what must come, and for what must not.
DEADLINE = 3
SILENCE = 0.05


class Peer:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.settimeout(0)

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Self]:
        """Connect to a port of 127.0.0.1."""
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            peer = cls(connection)
            await asyncio.wait_for(loop.sock_connect(connection, ("127.0.0.1", port)), DEADLINE)
            yield peer

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, listener: socket.socket) -> AsyncIterator[Self]:
        """Accept a connection."""
        listener.settimeout(0)
        accepting = asyncio.get_running_loop().sock_accept(listener)
        connection, _ = await asyncio.wait_for(accepting, DEADLINE)
        with connection:
            yield cls(connection)

    def says(self, words: bytes) -> None:
        """Send what the socket takes; that the connection has ended is for `hears` to meet."""
        with contextlib.suppress(ConnectionError, BlockingIOError):
            self._connection.send(words)

    def leaves(self) -> None:
        """Close."""
        self._connection.close()

    async def hears(self, words: bytes, end: type[Exception] = TimeoutError) -> None:
        """Assert that these come, and after them this end; silence is a TimeoutError."""
        heard = b""
        while len(heard) < len(words):
            heard += await self._receive(len(words) - len(heard), DEADLINE)
        assert heard == words
        with pytest.raises(end):
            await self._receive(1, SILENCE if end is TimeoutError else DEADLINE)

    async def _receive(self, size: int, deadline: float) -> bytes:
        receiving = asyncio.get_running_loop().sock_recv(self._connection, size)
        if received := await asyncio.wait_for(receiving, deadline):
            return received
        raise EOFError


async def until(condition: Callable[[], bool]) -> None:
    """Wait until this holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.002)
