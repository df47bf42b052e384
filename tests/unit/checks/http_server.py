"""An HTTP server whose answer a test scripts, byte for byte."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from app.checks.http import HttpProbe
from tests.service.hostile.client import Client, Script, endless, script, scripted
from tests.support.specs import http
from tests.unit.checks.attempt import eventually


OK = b"HTTP/1.1 200 OK\r\n\r\n"
LENGTH = re.compile(r"^content-length: (\d+)\r$", re.IGNORECASE | re.MULTILINE)

# Writes the answer to a request that has been read.
Answer = Script


class HttpServer:
    """Gives every request the same answer, then waits until the client disconnects.

    Attributes:
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

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        self.open += 1
        client = Client(reader, writer, len(self.asked), Path())
        with contextlib.suppress(ConnectionError, EOFError, ssl.SSLError):
            head = (await client.read_until(b"\r\n\r\n")).decode()
            if length := LENGTH.search(head):
                self.body = await client.read(int(length[1]))
            self.asked.append(head)
            await self.answer(client)
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
        await eventually(lambda: not server.open)


def open_probe(
    server: HttpServer,
    path: str = "/",
    headers: Callable[[], Mapping[str, str]] = dict,
    expect: int = 200,
) -> contextlib.AbstractAsyncContextManager[HttpProbe]:
    """Open a probe of a server."""
    return http(f"http://127.0.0.1:{server.port}{path}", headers, expect=expect)


says = script


def goes_on(beginning: bytes, piece: bytes) -> Answer:
    """Return an answer that sends the beginning, and then the piece without end."""
    return script(beginning, endless(piece))


@scripted
async def hangs_up(client: Client, data: bytes) -> None:
    """Send *data*, and close the connection."""
    await client.write(data)
    client.writer.close()


async def resets(client: Client) -> None:
    """Reset the connection."""
    connection: socket.socket = client.writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()
