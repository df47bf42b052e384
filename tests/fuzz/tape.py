"""Records a conversation."""

import asyncio
import contextlib

from tests.fuzz.conversation import Turn, split
from tests.fuzz.dependency import HOST


class RecordingProxy:
    """A proxy to a real server that records its first connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._parts: list[tuple[bool, bytes]] | None = None
        self.closes = False
        self._left = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Proxy one connection."""
        server, client = await asyncio.open_connection(HOST, self._port)
        kept: list[tuple[bool, bytes]] = []
        self._parts = kept if self._parts is None else self._parts
        answering = asyncio.create_task(self._pump(server, writer, kept, is_answer=True))
        try:
            with contextlib.suppress(OSError):
                await self._pump(reader, client, kept, is_answer=False)
            self._left = True
        finally:  # also if the attempt ends first, which cancels this task
            client.transport.abort()
            with contextlib.suppress(OSError):
                await answering

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        kept: list[tuple[bool, bytes]],
        *,
        is_answer: bool,
    ) -> None:
        while data := await reader.read(65536):
            kept.append((is_answer, data))
            writer.write(data)
        self.closes = self.closes or (is_answer and not self._left and kept[-1][0])
        writer.write_eof()

    def turns(self, protocol: str) -> tuple[Turn, ...]:
        """Return the turns, without a last request that has no answer."""
        turns: list[list[bytes]] = []
        before = True
        for is_answer, data in self._parts or []:
            if before and not is_answer:
                turns.append([b"", b""])
            turns[-1][is_answer] += data
            before = is_answer
        return tuple(Turn(request, split(protocol, sent)) for request, sent in turns if sent)
