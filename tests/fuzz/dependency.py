"""The dependency: a server on loopback that replays conversations."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from tests.fuzz.conversation import Conversation, split
from tests.fuzz.mutation import Mutation
from tests.support.faults.relay import RST_ON_CLOSE


HOST = "127.0.0.1"

# The length of PostgreSQL's request for TLS, and the answer.
SSL_REQUEST, WILLING = 8, b"S"

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(play: Play) -> AsyncIterator[int]:
    """Serve each connection on a free port, and yield the port."""
    tasks = set[asyncio.Task[None]]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # too late to be cancelled
            writer.transport.abort()
            return
        # asyncio itself keeps no reference to a connection whose client has sent its end.
        task = asyncio.get_running_loop().create_task(_serve(play, reader, writer))
        tasks.add(task)
        # Not in the task, which may be cancelled before it starts.
        task.add_done_callback(lambda _: writer.transport.abort())

    # Nothing is awaited until `try`, so a cancelled attempt closes its server.
    listener = socket.create_server((HOST, 0))
    server = await asyncio.start_server(accept, sock=listener, start_serving=False)
    try:
        await server.start_serving()
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, EOFError):
        await play(reader, writer)


class Player:
    """Replays one conversation, with its mutation, to each client.

    Attributes:
        sent: the pieces that it has sent; an empty one starts a connection.
    """

    def __init__(self, conversation: Conversation, mutation: Mutation | None = None) -> None:
        self._conversation, self._mutation = conversation, mutation
        self._inner_port = 0
        self.sent: list[bytes] = []

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[int]:
        """Serve on a free port, and yield the port."""
        async with contextlib.AsyncExitStack() as stack:
            # A player that is cancelled while it starts a server could not close it.
            if inner := self._conversation.inner:
                self._inner_port = await stack.enter_async_context(serving(Player(inner)))
            yield await stack.enter_async_context(serving(self))

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Replay until the client disconnects or the conversation ends."""
        self.sent.append(b"")
        play = self._play_records if self._conversation.inner else self._play
        await end(await play(reader, writer), reader, writer)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Replay in plain text or over TLS; return how to end the connection."""
        conversation = self._conversation
        if conversation.context:
            if conversation.target.kind == "postgres":
                await reader.readexactly(SSL_REQUEST)
                writer.write(WILLING)
            await writer.start_tls(conversation.context)
        for number, turn in enumerate(conversation.turns):
            if not (self._mutation and self._mutation.is_early(number)):
                await reader.readexactly(len(turn.request))
            if ending := await self._answer(number, turn.messages, writer):
                return ending
        return "close" if conversation.closes else "silence"

    async def _play_records(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        """Proxy a server with TLS whose records are changed. Each read is a turn."""
        server, client = await asyncio.open_connection(HOST, self._inner_port)
        asking = asyncio.create_task(forward(reader, client))
        turn = 0
        try:
            while data := await server.read(65536):
                if ending := await self._answer(turn, split("tls", data), writer):
                    return ending
                turn += 1
        finally:
            asking.cancel()
            client.transport.abort()
        return "close"

    async def _answer(
        self, turn: int, messages: Sequence[bytes], writer: asyncio.StreamWriter
    ) -> str:
        """Send the messages of a turn; return how to end the connection then, if at all."""
        mutation = self._mutation
        for piece in filter(None, mutation.apply(turn, messages) if mutation else messages):
            self.sent.append(piece)
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return mutation.ending(turn) if mutation else ""


async def end(ending: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection: with a reset, with EOF, or after the client has disconnected."""
    if ending == "reset":
        if connection := writer.get_extra_info("socket"):  # None if the client has disconnected
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        return
    if ending == "close":
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS has no half-closed connections
    while await reader.read(65536):
        pass


async def forward(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    keep: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Forward and keep everything until the connection ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            keep(data)
            writer.write(data)
        writer.write_eof()
