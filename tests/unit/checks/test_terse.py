"""Servers that close the connection at commands that they do not know, as Twemproxy does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.health import Reason
from tests.support.specs import redis
from tests.unit.checks.attempt import failure


KNOWN = {b"PING": b"+PONG", b"GET vitals:probe": b"$-1"}


class TerseServer:
    """Answers the commands that it knows, and closes the connection at any other one.

    Attributes:
        known: the commands and their replies.
        received: the words of each command, one list for each connection.
    """

    def __init__(self) -> None:
        self.known = dict(KNOWN)
        self.received: list[list[bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer commands without arguments."""
        own: list[bytes] = []
        self.received.append(own)
        while words := (await reader.readline())[1:-2]:
            command = [await read_word(reader) for _ in range(int(words))]
            own.append(b" ".join(command))
            if own[-1] not in self.known:
                break
            writer.write(self.known[own[-1]] + b"\r\n")
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Run the server, and yield its URL."""
        async with await asyncio.start_server(self.serve, "127.0.0.1") as server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def read_word(reader: asyncio.StreamReader) -> bytes:
    """Return the next word of a command."""
    length = int((await reader.readline())[1:-2])
    return (await reader.readexactly(length + 2))[:-2]


@pytest.mark.parametrize("depth", ["connect", "query"])
async def test_a_second_connection_does_without_unknown_commands(depth: str) -> None:
    """The probe remembers it."""
    server = TerseServer()
    async with (
        server.running() as url,
        redis(url, None, require=depth, renew_after=0) as probe,
    ):
        await probe()
        first, *rest = server.received
        assert first == [b"CLIENT SETNAME vitals"]
        await probe()
        own = [b"PING"] if depth == "connect" else [*KNOWN]
        assert [first, *rest] == server.received[:2]
        assert server.received[1:] == [own, own]


async def test_a_failure_ends_the_memory() -> None:
    """The server may be another one by now, such as a node of a cluster."""
    server = TerseServer()
    async with (
        server.running() as url,
        redis(url, None, require="query", renew_after=0) as probe,
    ):
        await probe()
        server.known = {}
        assert await failure(probe) is Reason.DISCONNECTED
        server.received.clear()
        server.known = dict(KNOWN)
        await probe()
        assert b"CLIENT SETNAME vitals" in server.received[0]
