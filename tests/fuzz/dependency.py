"""The dependency: a server on loopback that replays conversations."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from tests.fuzz.conversation import Conversation
from tests.fuzz.live import LiveAnswers
from tests.fuzz.mutation import Mutation


HOST = "127.0.0.1"

# A query holds a number of up to ten digits, so it may be shorter than the recorded one.
SHORTER = 9

# SO_LINGER on, for 0 seconds: closing sends RST instead of FIN.
RST_ON_CLOSE = struct.pack("ii", 1, 0)

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Lane:
    """A listener for one attempt after another.

    Attributes:
        port: the port of the listener.
        play: serves each connection; set before each attempt.
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
        task = asyncio.get_running_loop().create_task(_serve(self.play, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in the task, which may be cancelled before it starts.
        task.add_done_callback(lambda _: writer.transport.abort())


async def _serve(play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, EOFError):
        await play(reader, writer)


class Player:
    """Replays one conversation, with its mutation, to each client.

    Attributes:
        sent: the pieces that it has sent; an empty one starts a connection.
    """

    def __init__(self, conversation: Conversation, mutation: Mutation | None) -> None:
        self._conversation, self._mutation = conversation, mutation
        self.sent: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Replay until the client disconnects or the conversation ends."""
        self.sent.append(b"")
        live, mutation = LiveAnswers(self._conversation), self._mutation
        for number, turn in enumerate(self._conversation.turns):
            is_early = mutation is not None and mutation.is_early(number)
            received = b"" if is_early else await _read_request(reader, len(turn.request))
            answers = live.answers(number, received)
            await send(writer, mutation.apply(number, answers) if mutation else answers, self.sent)
            if mutation and (ending := mutation.ending(number)):
                await end(ending, reader, writer)
                return
        await end("close" if self._conversation.closes else "silence", reader, writer)


async def _read_request(reader: asyncio.StreamReader, length: int) -> bytes:
    """Return what the client sends in a turn, in one piece or several."""
    received = b""
    while len(received) < min(length, max(1, length - SHORTER)):
        data = await reader.read(65536)
        if not data:
            raise EOFError
        received += data
    return received


async def send(writer: asyncio.StreamWriter, pieces: Sequence[bytes], sent: list[bytes]) -> None:
    """Send the pieces one by one."""
    for piece in filter(None, pieces):
        sent.append(piece)
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


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
