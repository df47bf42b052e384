"""An HTTP server whose answer a test scripts, byte for byte."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from app.checks.http import HttpProbe
from app.health import Reason
from tests.support.specs import http
from tests.unit.checks import attempt


OK = b"HTTP/1.1 200 OK\r\n\r\n"
LENGTH = re.compile(r"^content-length: (\d+)\r$", re.IGNORECASE | re.MULTILINE)

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class HttpServer:
    """Gives every request the same answer, then waits until the client disconnects.

    Attributes:
        answer: writes the answer to a request.
        asked: the request line and headers of each request.
        body: that of the last request.
        open: how many connections are open.
    """

    def __init__(self, answer: Answer | bytes) -> None:
        self.answer = says(answer) if isinstance(answer, bytes) else answer
        self.asked: list[str] = []
        self.body = b""
        self.open = 0
        self.port = 0

    def was_asked(self, times: int) -> bool:
        """Return whether exactly so many requests have arrived."""
        return len(self.asked) == times

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        self.open += 1
        with contextlib.suppress(ConnectionError, EOFError, ssl.SSLError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if length := LENGTH.search(head):
                self.body = await reader.readexactly(int(length[1]))
            self.asked.append(head)
            await self.answer(writer)
            await reader.read()
        self.open -= 1
        writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(
    answer: Answer | bytes, context: ssl.SSLContext | None = None
) -> AsyncIterator[HttpServer]:
    """Run a server on a free port of 127.0.0.1."""
    server = HttpServer(answer)
    async with await asyncio.start_server(server.serve, "127.0.0.1", ssl=context) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
        listening.close()
        await attempt.eventually(lambda: not server.open)


def open_probe(
    server: HttpServer,
    path: str = "/",
    headers: Callable[[], Mapping[str, str]] = dict,
    expect: int = 200,
) -> contextlib.AbstractAsyncContextManager[HttpProbe]:
    """Open a probe of a server."""
    return http(f"http://127.0.0.1:{server.port}{path}", headers, expect=expect)


async def failure(probe: Any) -> Reason:
    """Run an attempt that fails; return its reason."""
    return await attempt.failure(probe)


def says(data: bytes) -> Answer:
    """Return an answer that sends *data*."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


def goes_on(beginning: bytes, piece: bytes) -> Answer:
    """Return an answer that sends the beginning, and then the piece without end."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while True:
            writer.write(piece)
            await writer.drain()

    return answer


def hangs_up(data: bytes) -> Answer:
    """Return an answer that sends *data* and closes the connection."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return answer


async def resets(writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
