"""A probe's connection, as the hostile server at its other end sees it."""

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
        number: how many connections were accepted before this one in the same attack.
        folder: where the certificates are.
        limit: close the connection after so many bytes in total; None: no limit.
        piecemeal: send each byte in a packet of its own.

    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, folder: Path
    ) -> None:
        self.number = number
        self.folder = folder
        self.limit: int | None = None
        self.piecemeal = False
        self._reader = reader
        self._writer = writer
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self, length: int) -> bytes:
        """Return exactly so many bytes."""
        return await self._reader.readexactly(length)

    async def read_some(self) -> bytes:
        """Return what arrives next."""
        data = await self._reader.read(CHUNK)
        if not data:
            raise EOFError
        return data

    async def read_until(self, end: bytes) -> bytes:
        """Return everything up to *end*, with it."""
        return await self._reader.readuntil(end)

    async def write(self, data: bytes) -> None:
        """Send bytes, as far as the limit goes."""
        sent = data if self.limit is None else data[: self.limit]
        size = 1 if self.piecemeal else CHUNK
        for start in range(0, len(sent), size):
            self._writer.write(sent[start : start + size])
            await self._writer.drain()
            # Other connections have their turn too: a buffer that is not full does not wait.
            await asyncio.sleep(0.0005 if self.piecemeal else 0)
        if self.limit is not None:
            self.limit -= len(sent)
            if not self.limit:
                raise EOFError

    async def left(self) -> None:
        """Wait until the client has closed the connection."""
        while await self._reader.read(CHUNK):
            pass

    def abort(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection after everything was sent."""
        self._writer.close()


Script = Callable[[Client], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """What a hostile server does, and what a probe makes of it.

    Attributes:
        script: plays the server on one connection.
        reason: why the check fails; None: it passes.
        passes: how many attempts pass before that.
        require: the depth of a store's check.
        connections: how many connections the failed attempt may open, at most.

    """

    script: Script
    reason: Reason | None = Reason.PROTOCOL
    passes: int = 0
    require: str = "query"
    connections: int = 2


async def play(script: Script, client: Client) -> None:
    """Play a script; then keep the connection open until the client leaves."""
    try:
        with contextlib.suppress(OSError, EOFError):
            await script(client)
            await client.left()
    finally:
        client.close()


def script(*steps: bytes | Script) -> Script:
    """Combine bytes to send and other scripts, one after another."""

    async def run(client: Client) -> None:
        for step in steps:
            await (client.write(step) if isinstance(step, bytes) else step(client))

    return run


def endless(piece: bytes) -> Script:
    """Send something over and over, as fast as the client takes it."""
    data = piece * max(1, CHUNK // len(piece))

    async def run(client: Client) -> None:
        while True:
            await client.write(data)

    return run


def total(length: int) -> Script:
    """Send so many bytes, all of them `x`."""

    async def run(client: Client) -> None:
        for _ in range(length // CHUNK):
            await client.write(b"x" * CHUNK)

    return run


def trickle(piece: bytes, pause: float = 0.001) -> Script:
    """Send something over and over, with a pause after each."""

    async def run(client: Client) -> None:
        while True:
            await client.write(piece)
            await asyncio.sleep(pause)

    return run


async def ends(client: Client) -> None:
    """End the connection."""
    del client
    raise EOFError


async def freezes(client: Client) -> None:
    """Say nothing more."""
    await client.left()


def then_frozen(first: Script) -> Script:
    """Play a script on the first connection, and accept all others without a word."""

    async def run(client: Client) -> None:
        await (freezes if client.number else first)(client)

    return run


def limited(length: int, honest: Script) -> Script:
    """End the connection after so many bytes."""

    async def run(client: Client) -> None:
        client.limit = length
        await honest(client)

    return run


def piecemeal(honest: Script) -> Script:
    """Send each byte in a packet of its own."""

    async def run(client: Client) -> None:
        client.piecemeal = True
        await honest(client)

    return run
