"""The dependency with TLS: mutations change its plain text, or its TLS records."""

import asyncio
import contextlib
import socket
import ssl

from tests.fuzz.conversation import Conversation, split
from tests.fuzz.dependency import Player, end, send
from tests.fuzz.mutation import Mutation


# The length of PostgreSQL's request for TLS, and the answer.
SSL_REQUEST, WILLING = 8, b"S"


def player(conversation: Conversation, mutation: Mutation | None) -> Player:
    """Return the player of a conversation."""
    if conversation.context is None:
        return Player(conversation, mutation)
    if conversation.inner is None:
        return TlsPlayer(conversation, mutation)
    return TlsRecordPlayer(conversation, mutation)


class TlsPlayer(Player):
    """Replays a conversation over TLS."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do the TLS handshake, then replay."""
        if self._conversation.target.kind == "postgres":
            await reader.readexactly(SSL_REQUEST)
            writer.write(WILLING)
        assert isinstance(self._conversation.context, ssl.SSLContext)
        await writer.start_tls(self._conversation.context)
        await super().__call__(reader, writer)


class TlsRecordPlayer(Player):
    """Changes the TLS records of a conversation. Each read is a turn."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Proxy until either side ends the connection."""
        self.sent.append(b"")
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        tasks = list[asyncio.Task[None]]()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # asyncio itself keeps no reference to a connection whose client has sent its end.
            playing = loop.create_task(self._play(reader, writer))
            playing.add_done_callback(lambda _: writer.transport.abort())
            tasks.append(playing)

        inner = asyncio.StreamReaderProtocol(asyncio.StreamReader(), accept)
        await loop.connect_accepted_socket(lambda: inner, theirs)
        server, client = await asyncio.open_connection(sock=ours)
        tasks.append(asyncio.create_task(_pump(reader, client)))
        try:
            ending = await self._relay(server, writer)
        finally:
            client.transport.abort()  # first: this task may be cancelled while it waits
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await end(ending, reader, writer)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._conversation.inner
        with contextlib.suppress(OSError, EOFError):
            await TlsPlayer(self._conversation.inner, None)(reader, writer)

    async def _relay(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Forward the server's data; return how to end the connection."""
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
