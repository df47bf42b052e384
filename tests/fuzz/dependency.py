"""The dependency: a server on loopback that plays what a lane is given."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from tests.fuzz.conversation import Conversation
from tests.fuzz.live import Live
from tests.fuzz.mutation import Mutation


HOST = "127.0.0.1"

# A question holds a number of up to ten digits, so it may be shorter than the recorded one.
SHORTER = 9

# SO_LINGER on, for 0 seconds: closing sends RST instead of FIN.
RST_ON_CLOSE = struct.pack("ii", 1, 0)

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Lane:
    """A listener, at which one attempt after another arrives.

    Attributes:
        port: where it listens.
        play: treats each connection; set before each attempt.

    """

    port: int
    play: Play

    async def __aenter__(self) -> Self:
        self._tasks = set[asyncio.Task[None]]()
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_treat(self.play, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in the task: it may be cancelled before it begins.
        task.add_done_callback(lambda _: writer.transport.abort())


async def _treat(play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, EOFError):
        await play(reader, writer)


class Player:
    """Plays one conversation, with its mutation, to each client that connects.

    Attributes:
        sent: what it has sent, in pieces, all connections after each other.

    """

    def __init__(self, conversation: Conversation, mutation: Mutation | None) -> None:
        self._conversation, self._mutation = conversation, mutation
        self.sent: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play, until the client or the conversation ends."""
        self.sent.append(b"")
        live, mutation = Live(self._conversation), self._mutation
        for number, turn in enumerate(self._conversation.turns):
            is_early = mutation is not None and mutation.is_early(number)
            heard = b"" if is_early else await _heard(reader, len(turn.asked))
            answers = live.answers(number, heard)
            await send(writer, mutation.apply(number, answers) if mutation else answers, self.sent)
            if mutation and (ending := mutation.ending(number)):
                await end(ending, reader, writer)
                return
        await end("close" if self._conversation.closes else "silence", reader, writer)


async def _heard(reader: asyncio.StreamReader, length: int) -> bytes:
    """Return what the client says in a turn, which it sends in one piece or a few."""
    heard = b""
    while len(heard) < min(length, max(1, length - SHORTER)):
        data = await reader.read(65536)
        if not data:
            raise EOFError
        heard += data
    return heard


async def send(writer: asyncio.StreamWriter, pieces: Sequence[bytes], sent: list[bytes]) -> None:
    """Send these pieces, each by itself."""
    for piece in filter(None, pieces):
        sent.append(piece)
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


async def end(ending: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection: with a reset, an end of the file, or when the client has left."""
    if ending == "reset":
        if connection := writer.get_extra_info("socket"):  # the client may have left
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        return
    if ending == "close":
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS has no half of a connection
    while await reader.read(65536):
        pass
