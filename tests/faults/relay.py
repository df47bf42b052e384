"""One client's connection through the proxy, and the one to the server that it stands for."""

import asyncio
import contextlib
import socket
import struct

from tests.faults.fault import Cut, Fault, Refuse, Reset, Silent, Slow


# Bytes read at a time.
CHUNK = 65536

# SO_LINGER on, for 0 seconds: closing sends RST instead of FIN.
RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """Passes on what the fault in force lets pass, and holds back the rest until another is.

    A client that leaves, or says that it sends no more, is let go at once, whatever is held back;
    so is the server.

    Args:
        reader: what the client sends.
        writer: the way to the client.
        fault: the fault in force.

    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault
    ) -> None:
        self._reader = reader
        self._client = writer
        self._server: asyncio.StreamWriter | None = None
        self._request = bytearray()
        self._fault = fault
        self._passed = 0
        self._changed = asyncio.Event()
        self._answering: asyncio.Task[None] | None = None

    async def run(self, server: tuple[str, int]) -> None:
        """Relay until the client leaves; the server still gets what it sent."""
        try:
            async with asyncio.TaskGroup() as group:
                self._answering = group.create_task(self._answer(server))
                self._judge()
                await self._hear()
                self._answering.cancel()
        finally:
            self._client.transport.abort()
            if self._server:
                self._server.close()
                with contextlib.suppress(OSError):
                    await self._server.wait_closed()

    def apply(self, fault: Fault) -> None:
        """Put another fault in force."""
        self._fault, self._passed = fault, 0
        self._changed.set()
        self._changed = asyncio.Event()
        self._judge()
        self._forward()

    def abort(self) -> None:
        """End both connections at once."""
        self._client.transport.abort()
        if self._server:
            self._server.transport.abort()

    async def _hear(self) -> None:
        with contextlib.suppress(OSError):
            while data := await self._reader.read(CHUNK):
                self._request += data
                self._forward()

    def _forward(self) -> None:
        held = self._client.is_closing() or isinstance(self._fault, Silent)
        if not held and self._server and not self._server.is_closing():
            self._server.write(bytes(self._request))
            self._request.clear()

    async def _answer(self, server: tuple[str, int]) -> None:
        end = self._client.write_eof
        try:
            await self._room()
            reader, self._server = await asyncio.open_connection(*server)
            self._forward()
            while data := await reader.read(CHUNK):
                await self._pass(data)
        except OSError:
            end = self._reset
        await self._room()
        # The client may have left meanwhile.
        with contextlib.suppress(OSError):
            end()

    async def _pass(self, data: bytes) -> None:
        while data:
            room, fault = await self._room(), self._fault
            if isinstance(fault, Slow):
                await self._pause(fault.every)
                if self._fault is not fault:
                    continue
            part, data = data[:room], data[room:]
            self._client.write(fault.harm(part, self._passed))
            self._passed += len(part)
            await self._client.drain()
            self._judge()

    async def _room(self) -> int:
        while not (room := self._fault.room(self._passed)):
            await self._changed.wait()
        return room

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def _judge(self) -> None:
        over = not self._fault.room(self._passed)
        if isinstance(self._fault, Refuse) or (over and isinstance(self._fault, Reset)):
            self._reset()
        elif over and isinstance(self._fault, Cut):
            self._cut()

    def _reset(self) -> None:
        if not self._client.is_closing():
            connection = self._client.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            self._client.transport.abort()

    def _cut(self) -> None:
        if self._answering:
            self._answering.cancel()
        if self._server:
            self._server.close()
        self._client.write_eof()
