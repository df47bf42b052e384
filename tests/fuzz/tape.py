"""Records a conversation."""

import asyncio

from tests.fuzz.conversation import Turn, split
from tests.fuzz.dependency import HOST, forward


class RecordingProxy:
    """A proxy to a real server that records its first connection.

    Attributes:
        closes: whether the server ended a connection, after an answer.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: list[list[tuple[bool, bytes]]] = []
        self.closes = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Proxy one connection."""
        server, client = await asyncio.open_connection(HOST, self._port)
        parts: list[tuple[bool, bytes]] = []
        self._connections.append(parts)
        asking = asyncio.create_task(
            forward(reader, client, lambda one: parts.append((False, one)))
        )
        try:
            await forward(server, writer, lambda one: parts.append((True, one)))
            self.closes = self.closes or (not asking.done() and parts[-1][0])
            await asking
        finally:  # also if the attempt ends first, which cancels this task
            asking.cancel()
            client.transport.abort()

    def turns(self, protocol: str) -> tuple[Turn, ...]:
        """Return the turns, without a last request that has no answer."""
        turns: list[list[bytes]] = []
        before = True
        for is_answer, data in self._connections[0]:
            if before and not is_answer:
                turns.append([b"", b""])
            turns[-1][is_answer] += data
            before = is_answer
        return tuple(Turn(request, split(protocol, sent)) for request, sent in turns if sent)
