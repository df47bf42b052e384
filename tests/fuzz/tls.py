"""The dependency with TLS: what is changed is what it says, or the records that carry that."""

import asyncio
import contextlib
import socket
import ssl

from tests.fuzz.conversation import Conversation, split
from tests.fuzz.dependency import Player, end, send
from tests.fuzz.mutation import Mutation


# The answer to PostgreSQL's request for TLS, of so many bytes.
SSL_REQUEST, WILLING = 8, b"S"


def player(conversation: Conversation, mutation: Mutation | None) -> Player:
    """Return what plays a conversation."""
    if conversation.context is None:
        return Player(conversation, mutation)
    if conversation.within is None:
        return Secured(conversation, mutation)
    return Records(conversation, mutation)


class Secured(Player):
    """Plays a conversation within TLS."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Shake hands, then play."""
        if self._conversation.question.kind == "postgres":
            await reader.readexactly(SSL_REQUEST)
            writer.write(WILLING)
        assert isinstance(self._conversation.context, ssl.SSLContext)
        await writer.start_tls(self._conversation.context)
        await super().__call__(reader, writer)


class Records(Player):
    """Changes the records of TLS that carry a conversation, each turn of which is one read."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay, until either side ends."""
        self.sent.append(b"")
        ours, theirs = socket.socketpair()
        inner = asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._play)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: inner, theirs)
        server, client = await asyncio.open_connection(sock=ours)
        asking = asyncio.create_task(_pump(reader, client))
        try:
            ending = await self._relay(server, writer)
        finally:
            asking.cancel()
            await asyncio.wait({asking})
            client.transport.abort()
        await end(ending, reader, writer)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._conversation.within
        try:
            with contextlib.suppress(OSError, EOFError):
                await Secured(self._conversation.within, None)(reader, writer)
        finally:
            writer.transport.abort()

    async def _relay(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Pass on what the server says; return how the connection is to end."""
        turn, mutation = 0, self._mutation
        while data := await server.read(65536):
            pieces = mutation.apply(turn, split("tls", data)) if mutation else [data]
            await send(writer, pieces, self.sent)
            if mutation and (ending := mutation.ending(turn)):
                return ending
            turn += 1
        return "close"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.write_eof()
