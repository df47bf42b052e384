"""The hostile server's side of a probe's connection, and the building blocks of attacks."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from app.health import Reason


CHUNK = 64 * 1024


class Client:
    """One accepted connection.

    Attributes:
        number: how many connections the attack accepted before this one.
        folder: the folder of the certificates.
        limit: bytes in total after which the connection is closed; None for no limit.
        byte_by_byte: whether each byte is sent in its own packet.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, folder: Path
    ) -> None:
        self.number = number
        self.folder = folder
        self.limit: int | None = None
        self.byte_by_byte = False
        self._reader = reader
        self._writer = writer
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self, length: int) -> bytes:
        """Return exactly *length* bytes."""
        return await self._reader.readexactly(length)

    async def read_some(self) -> bytes:
        """Return the bytes that arrive next."""
        data = await self._reader.read(CHUNK)
        if not data:
            raise EOFError
        return data

    async def read_until(self, end: bytes) -> bytes:
        """Return everything up to and including *end*."""
        return await self._reader.readuntil(end)

    async def write(self, data: bytes) -> None:
        """Send bytes, up to the limit."""
        sent = data if self.limit is None else data[: self.limit]
        size = 1 if self.byte_by_byte else CHUNK
        for start in range(0, len(sent), size):
            self._writer.write(sent[start : start + size])
            await self._writer.drain()
            # Yield to other connections: drain() does not, unless the buffer is full.
            await asyncio.sleep(0.0005 if self.byte_by_byte else 0)
        if self.limit is not None:
            self.limit -= len(sent)
            if not self.limit:
                raise EOFError

    async def wait_closed(self) -> None:
        """Wait until the client has closed the connection."""
        while await self._reader.read(CHUNK):
            pass

    def abort(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection after all data is sent."""
        self._writer.close()


Script = Callable[[Client], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """A hostile server's behaviour, and the expected result of the probe.

    Attributes:
        script: plays the server on one connection.
        reason: the expected reason; None if the probe passes.
        passes: how many attempts pass before the failure.
        require: `connect`, `query` or `writable`, for the check of a store.
        connections: the most connections that the failed attempt may open.
    """

    script: Script
    reason: Reason | None = Reason.PROTOCOL
    passes: int = 0
    require: str = "query"
    connections: int = 2


async def play(script: Script, client: Client) -> None:
    """Run a script, then keep the connection open until the client closes it."""
    try:
        with contextlib.suppress(OSError, EOFError):
            await script(client)
            await client.wait_closed()
    finally:
        client.close()


def script(*steps: bytes | Script) -> Script:
    """Return a script that sends bytes and runs other scripts, in order."""

    async def run(client: Client) -> None:
        for step in steps:
            await (client.write(step) if isinstance(step, bytes) else step(client))

    return run


def endless(piece: bytes) -> Script:
    """Return a script that sends *piece* repeatedly, as fast as the client reads."""
    data = piece * max(1, CHUNK // len(piece))

    async def run(client: Client) -> None:
        while True:
            await client.write(data)

    return run


def send_total(length: int) -> Script:
    """Return a script that sends *length* bytes of `x`."""

    async def run(client: Client) -> None:
        for _ in range(length // CHUNK):
            await client.write(b"x" * CHUNK)

    return run


def trickle(piece: bytes, pause: float = 0.001) -> Script:
    """Return a script that sends *piece* repeatedly, with a pause in seconds."""

    async def run(client: Client) -> None:
        while True:
            await client.write(piece)
            await asyncio.sleep(pause)

    return run


async def hang_up(client: Client) -> None:
    """Close the connection."""
    del client
    raise EOFError


async def stay_silent(client: Client) -> None:
    """Send nothing until the client closes the connection."""
    await client.wait_closed()


def then_frozen(first: Script) -> Script:
    """Return a script that runs *first* on the first connection, and stays silent on the others."""

    async def run(client: Client) -> None:
        await (stay_silent if client.number else first)(client)

    return run


def limited(length: int, honest: Script) -> Script:
    """Return a script that closes an honest server's connection after *length* bytes."""

    async def run(client: Client) -> None:
        client.limit = length
        await honest(client)

    return run


def byte_by_byte(honest: Script) -> Script:
    """Return a script in which an honest server sends each byte in its own packet."""

    async def run(client: Client) -> None:
        client.byte_by_byte = True
        await honest(client)

    return run
