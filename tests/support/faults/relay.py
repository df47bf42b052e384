"""A client's connection to the proxy, joined with a connection to the server."""

import asyncio
import contextlib
import socket
import struct

from tests.support.faults.fault import Cut, Fault, Refuse, Reset, Silent, Slow


# Bytes per read.
CHUNK = 65536

# SO_LINGER on, for 0 seconds: closing sends RST instead of FIN.
RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """Forwards what the current fault lets pass, and holds back the rest until the fault changes.

    When the client closes or half-closes its connection, both connections end at once, even if
    data is held back. The reader and the writer are those of the client's connection.
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
        """Relay until the client disconnects; the server still receives what it sent."""
        try:
            async with asyncio.TaskGroup() as group:
                self._answering = group.create_task(self._relay_answer(server))
                self._disconnect_if_due()
                await self._read_client()
                self._answering.cancel()
        finally:
            self._client.transport.abort()
            if self._server:
                self._server.close()
                with contextlib.suppress(OSError):
                    await self._server.wait_closed()

    def apply(self, fault: Fault) -> None:
        """Switch to another fault."""
        self._fault, self._passed = fault, 0
        self._changed.set()
        self._changed = asyncio.Event()
        self._disconnect_if_due()
        self._forward_request()

    def abort(self) -> None:
        """Abort both connections."""
        self._client.transport.abort()
        if self._server:
            self._server.transport.abort()

    async def _read_client(self) -> None:
        with contextlib.suppress(OSError):
            while data := await self._reader.read(CHUNK):
                self._request += data
                self._forward_request()

    def _forward_request(self) -> None:
        held = self._client.is_closing() or isinstance(self._fault, Silent)
        if not held and self._server and not self._server.is_closing():
            self._server.write(bytes(self._request))
            self._request.clear()

    async def _relay_answer(self, server: tuple[str, int]) -> None:
        end = self._client.write_eof
        try:
            await self._wait_for_room()
            reader, self._server = await asyncio.open_connection(*server)
            self._forward_request()
            while data := await reader.read(CHUNK):
                await self._forward_answer(data)
        except OSError:
            end = self._reset
        await self._wait_for_room()
        # The client may have disconnected meanwhile.
        with contextlib.suppress(OSError):
            end()

    async def _forward_answer(self, data: bytes) -> None:
        while data:
            room, fault = await self._wait_for_room(), self._fault
            if isinstance(fault, Slow):
                await self._pause(fault.every)
                if self._fault is not fault:
                    continue
            part, data = data[:room], data[room:]
            self._client.write(fault.alter(part, self._passed))
            self._passed += len(part)
            await self._client.drain()
            self._disconnect_if_due()

    async def _wait_for_room(self) -> int:
        while not (room := self._fault.room(self._passed)):
            await self._changed.wait()
        return room

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def _disconnect_if_due(self) -> None:
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
