import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.faults.proxy import HOST, Proxy


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Port of a server that answers `PING` with `+PONG`, and echoes everything else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(b"+PONG\r\n" if b"PING" in data else data)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, HOST) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def proxy(echo: int) -> AsyncIterator[Proxy]:
    """A proxy in front of the echo server."""
    async with Proxy(HOST, echo) as proxy:
        yield proxy


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket, on which the test acts as the server."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener
