"""A connection to a dependency: the one place where its bytes arrive, bounded."""

import asyncio
import re
import ssl
from typing import Any, Self

from app.checks.errors import ProtocolError, TlsAnswerError, UnansweredError
from app.checks.network import Dialer, Stage, enter_stage
from app.checks.tls import RECORD, TlsStream


# The budget of an attempt. A usual answer has 1 KB in a handful of messages, and a certificate
# with its chain 5 KB. Each read wakes the event loop.
MAX_BYTES = 64 * 1024
MAX_FRAMES = 100
MAX_READS = 8 * 1024

CLOSED = "closed the connection"


class BoundedConnection(asyncio.Protocol):
    """Receives what a dependency sends, as far as its budget goes, and hands it out on request.

    A dependency that sends more is cut off with `ProtocolError`. TLS happens here as well, so that
    the budget counts what the network carries, handshakes and empty records included.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._failure: Exception | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._tls: TlsStream | None = None
        self.address: Any = None
        self.has_answered = self._encrypts = False
        self._bytes, self._frames, self._reads = MAX_BYTES, MAX_FRAMES, MAX_READS
        self._is_fresh = True

    @classmethod
    async def open(cls, dialer: Dialer) -> Self:
        """Connect, or raise the `OSError` that keeps every address from being connected to."""
        connected = await dialer.dial()
        wire = cls(dialer)
        await asyncio.get_running_loop().create_connection(lambda: wire, sock=connected)
        return wire

    def renew(self) -> None:
        """Begin the budget of a new attempt; the first one began with the connection.

        Raises:
            ProtocolError: something has arrived that nothing asked for.

        """
        self._demand_silence()
        if not self._is_fresh:
            self._bytes, self._frames, self._reads = MAX_BYTES, MAX_FRAMES, MAX_READS
        self._is_fresh = False

    async def start_tls(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """Shake hands, on a thread: certificates and key exchange are the other side's choice."""
        enter_stage(Stage.TLS)
        self._demand_silence()  # or plain text could be taken for what was encrypted
        tls = TlsStream(context, server_name)
        self._encrypts = self._dialer.awaits_tls = True
        try:
            taken = 0
            while not await tls.shakes_hands():
                self.count(taken)
                self._send(tls.outgoing.read())
                while not (taken := tls.take_records(self._received, self._frames + 1)):
                    await self._more()
                self._dialer.awaits_tls = False
        except ssl.SSLError:
            self._send(tls.outgoing.read())  # an alert, which the server's log explains
            raise
        self._send(tls.outgoing.read())
        self._tls = tls
        self._keep(self._take(len(self._received)))

    def write(self, data: bytes) -> None:
        """Send something. What has ended the connection shows in the next read."""
        if self._tls:
            try:
                self._tls.object.write(data)
            except ssl.SSLError as error:
                self._fail(error)
            data = self._tls.outgoing.read()
        self._send(data)

    async def read(self, length: int) -> bytes:
        """Return so many bytes, or raise what has ended the connection before they arrived."""
        if length > MAX_BYTES:
            msg = f"announced {length} bytes"
            raise ProtocolError(msg)
        while len(self._received) < length:
            await self._more()
        return self._take(length)

    async def read_until(self, end: re.Pattern[bytes], overlap: int) -> bytes:
        """Return everything up to the first match, which is *overlap* + 1 bytes long at most."""
        searched = 0
        while not (match := end.search(self._received, searched)):
            searched = max(0, len(self._received) - overlap)
            await self._more()
        return self._take(match.end())

    def count(self, frames: int = 1) -> None:
        """Count messages, or records of TLS, and raise `ProtocolError` if there are too many."""
        self._frames -= frames
        if self._frames < 0:
            msg = f"sent more than {MAX_FRAMES} messages or TLS records"
            raise ProtocolError(msg)

    @property
    def has_unread(self) -> bool:
        """Return whether something has arrived that was not read."""
        return bool(self._received)

    async def ended(self) -> None:
        """Wait until the connection has ended, and raise what has ended it."""
        while True:
            self._received.clear()
            await self._more()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport to write to."""
        self._transport = transport
        self.address = transport.get_extra_info("peername")

    def data_received(self, data: bytes) -> None:
        """Keep what the budget allows, and cut the connection when it is used up."""
        kept = data[: self._bytes]
        self._bytes -= len(kept)
        self._reads -= 1
        try:
            self._keep(kept)
        except (ssl.SSLError, EOFError, ProtocolError) as error:
            self._fail(error)
        if len(kept) < len(data) or self._reads < 0:
            self._fail(ProtocolError(f"sent more than {MAX_BYTES} bytes or {MAX_READS} pieces"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for more."""
        is_silent = not (self.has_answered or self._encrypts)
        silence = UnansweredError(f"{CLOSED} before it sent anything")
        self._fail(silence if is_silent else exc or EOFError(CLOSED))
        self._wake()

    def _keep(self, data: bytes) -> None:
        if self._tls:
            taken = self._tls.receive(data, self._frames + 1)
            self._received += self._tls.read()
            self.count(taken)
            self._send(self._tls.outgoing.read())  # the answer to a new key
            if self._tls.is_over:
                raise EOFError(CLOSED)
            return
        is_first, self.has_answered = not self.has_answered, True
        if is_first and not self._encrypts and RECORD.match(data):
            msg = "answers with TLS where plain text is expected"
            raise TlsAnswerError(msg)
        self._received += data

    def _demand_silence(self) -> None:
        if self._received:
            msg = "sent something before it was asked"
            raise ProtocolError(msg)

    def _send(self, data: bytes) -> None:
        if data and self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def _take(self, length: int) -> bytes:
        data = bytes(self._received[:length])
        del self._received[:length]
        return data

    async def _more(self) -> None:
        if self._failure:
            raise self._failure
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def _wake(self) -> None:
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.abort()
