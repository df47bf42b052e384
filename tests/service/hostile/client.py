"""The hostile server's side of a probe's connection, and the building blocks of attacks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from app.health import Reason


CHUNK = 64 * 1024

P = ParamSpec("P")


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
        self.number, self.folder = number, folder
        self.limit: int | None = None
        self.byte_by_byte = False
        self._reader, self.writer = reader, writer
        self._received = b""

    async def read(self, length: int) -> bytes:
        """Return exactly *length* bytes."""
        while len(self._received) < length:
            self._received += await self.read_some()
        data, self._received = self._received[:length], self._received[length:]
        return data

    async def read_until(self, end: bytes) -> bytes:
        """Return everything up to and including *end*."""
        while end not in self._received:
            self._received += await self.read_some()
        return await self.read(self._received.index(end) + len(end))

    async def read_some(self) -> bytes:
        """Return the bytes that arrive next."""
        if data := await self._reader.read(CHUNK):
            return data
        raise EOFError

    async def write(self, data: bytes) -> None:
        """Send bytes, up to the limit."""
        sent = data if self.limit is None else data[: self.limit]
        size = 1 if self.byte_by_byte else CHUNK
        for start in range(0, len(sent), size):
            self.writer.write(sent[start : start + size])
            await self.writer.drain()
            # Yield to other connections: drain() does not, unless the buffer is full.
            await asyncio.sleep(0.0005 if self.byte_by_byte else 0)
        if self.limit is not None:
            self.limit -= len(sent)
            if not self.limit:
                raise EOFError


# Plays the server on one connection. It then stays open until the client closes it, or is closed at
# once if the script raises EOFError.
Script = Callable[[Client], Awaitable[None]]


def scripted(run: Callable[Concatenate[Client, P], Awaitable[None]]) -> Callable[P, Script]:
    """Turn a function of a client and arguments into one of the arguments that returns a script."""

    def bind(*arguments: P.args, **options: P.kwargs) -> Script:
        return lambda client: run(client, *arguments, **options)

    return bind


@scripted
async def script(client: Client, *steps: bytes | Script) -> None:
    """Send bytes and run other scripts, in order."""
    for step in steps:
        await (client.write(step) if isinstance(step, bytes) else step(client))


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


def attack(*steps: bytes | Script, **expected: Any) -> Attack:
    """Return an attack whose script has these steps."""
    return Attack(script(*steps), **expected)


@scripted
async def endless(client: Client, piece: bytes) -> None:
    """Send *piece* repeatedly, as fast as the client reads."""
    data = piece * max(1, CHUNK // len(piece))
    while True:
        await client.write(data)


@scripted
async def send_total(client: Client, length: int) -> None:
    """Send *length* bytes of `x`."""
    for _ in range(length // CHUNK):
        await client.write(b"x" * CHUNK)


@scripted
async def trickle(client: Client, piece: bytes) -> None:
    """Send *piece* repeatedly, with pauses."""
    while True:
        await client.write(piece)
        await asyncio.sleep(0.001)


async def hang_up(_: Client) -> None:
    """Close the connection."""
    raise EOFError


@scripted
async def then_frozen(client: Client, first: Script) -> None:
    """Run *first* on the first connection, and stay silent on the others."""
    if not client.number:
        await first(client)


@scripted
async def limited(client: Client, length: int, honest: Script) -> None:
    """Close an honest server's connection after *length* bytes."""
    client.limit = length
    await honest(client)


@scripted
async def byte_by_byte(client: Client, honest: Script) -> None:
    """Send each byte of an honest server in its own packet."""
    client.byte_by_byte = True
    await honest(client)
