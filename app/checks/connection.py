"""A connection to a dependency, which limits what the dependency may send."""

import asyncio
import contextlib
import re
import socket
import ssl
from functools import partial
from typing import Any, Self

from app.checks.errors import ProtocolError, TlsAnswerError, UnansweredError
from app.checks.network import Dialer, Stage, enter_stage
from app.checks.tls import RECORD_START, TlsStream


# The budget of an attempt. A usual answer has 1 KB in a few messages, and a certificate with its
# chain 5 KB. Reads are limited because each one wakes the event loop.
MAX_BYTES = 64 * 1024
MAX_FRAMES = 100
MAX_READS = 8 * 1024

# Characters of a server's error message that are kept for the log.
MAX_ERROR_TEXT = 300

# Seconds for a server to reject a client's certificate after the handshake.
MAX_JUDGING = 0.25

CLOSED = "closed the connection"


class BoundedConnection(asyncio.Protocol):
    """A connection with a budget of bytes, frames and reads. A frame is a message or TLS record.

    It fails with `ProtocolError` if the dependency sends more. TLS happens here too, so that the
    budget counts the bytes on the network, including handshakes and empty records.

    Attributes:
        address: the address of the dependency.
        has_answered: whether the dependency has sent anything.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._failure: Exception | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._tls: TlsStream | None = None
        self.address: Any = None
        self.has_answered = self._uses_tls = False
        self._bytes, self._frames, self._reads = MAX_BYTES, MAX_FRAMES, MAX_READS
        self._is_new = True

    @classmethod
    async def open(cls, dialer: Dialer) -> Self:
        """Connect.

        Raises:
            OSError: no address accepts the connection.
        """
        return await dialer.dial(partial(cls, dialer))

    def reset_budget(self) -> None:
        """Start the budget of a new attempt. The first one started with the connection.

        Raises:
            ProtocolError: the dependency has sent something without a request.
        """
        if self._received:
            raise ProtocolError("sent something without a request")
        if not self._is_new:
            self._bytes, self._frames, self._reads = MAX_BYTES, MAX_FRAMES, MAX_READS
        self._is_new = False

    async def start_tls(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """Do the TLS handshake.

        Raises:
            ssl.SSLError: the handshake failed, or the dependency sent plain text.
            ProtocolError: the dependency sent too much.
            EOFError, OSError: the connection has ended.
        """
        enter_stage(Stage.TLS)
        if self._failure and not self.has_answered:
            raise EOFError(CLOSED)  # not because it expects TLS
        tls = TlsStream(context, server_name)
        self._uses_tls = self._dialer.awaits_tls = True
        try:
            records = 0
            while not await tls.handshake():
                self.count_frames(records)
                self._send(tls.outgoing.read())
                while not (records := tls.feed(self._received, self._frames + 1)):
                    await self._wait_for_data()
                self._dialer.awaits_tls = False
        except ssl.SSLError:
            self._send(tls.outgoing.read())  # the alert, which shows in the server's log
            raise
        self._dialer.certificate = tls.certificate
        # The end of the handshake leaves with the first data. A server that rejects the client's
        # certificate resets the connection: a second write could fail before its alert is read.
        self._tls = tls
        self._receive(self._take(len(self._received)))

    async def end_tls(self) -> None:
        """End TLS, and wait for the server to end it too or to send something, but not for long.

        With TLS 1.3, the server judges the client's certificate after the handshake has ended here.

        Raises:
            ClientCertificateError: the server requires one, or rejects the one that it got.
        """
        assert self._tls  # noqa: S101 - the handshake is complete
        self._tls.close()
        with contextlib.suppress(TimeoutError, EOFError, ConnectionError):
            async with asyncio.timeout(MAX_JUDGING):
                await self.read(1)

    def write(self, data: bytes) -> None:
        """Send data. If the connection has ended, the next read raises the reason."""
        if self._tls:
            try:
                self._tls.ssl_object.write(data)
            except ssl.SSLError as error:
                self._fail(error)
            data = self._tls.outgoing.read()
        self._send(data)

    async def read(self, length: int) -> bytes:
        """Return exactly *length* bytes.

        Raises:
            ProtocolError: *length* or what has arrived exceeds the budget.
            EOFError, OSError: the connection has ended.
        """
        if length > MAX_BYTES:
            raise ProtocolError(f"announced {length} bytes, more than {MAX_BYTES}")
        while len(self._received) < length:
            await self._wait_for_data()
        return self._take(length)

    async def read_until(self, end: re.Pattern[bytes], overlap: int) -> bytes:
        """Return the bytes up to and including the first match of *end*.

        Args:
            overlap: one less than the length of the longest match.
        """
        searched = 0
        while not (match := end.search(self._received, searched)):
            searched = max(0, len(self._received) - overlap)
            await self._wait_for_data()
        return self._take(match.end())

    def count_frames(self, frames: int = 1) -> None:
        """Subtract messages or TLS records from the budget.

        Raises:
            ProtocolError: the budget is used up.
        """
        self._frames -= frames
        if self._frames < 0:
            raise ProtocolError(f"sent more than {MAX_FRAMES} messages or TLS records")

    def enable_keepalive(self) -> None:
        """Configure the kernel to end the connection after 15 s without a response."""
        assert self._transport  # noqa: S101 - the connection was made
        if self._transport.is_closing():
            return  # the next read raises the reason
        connection = self._transport.get_extra_info("socket")
        if connection.family is not socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000)

    @property
    def has_unread(self) -> bool:
        """Return whether unread bytes have arrived."""
        return bool(self._received)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, then raise the reason. Discard what arrives."""
        while True:
            self._received.clear()
            await self._wait_for_data()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._transport = transport
        self.address = transport.get_extra_info("peername")

    def data_received(self, data: bytes) -> None:
        """Keep what the budget allows, and close the connection when it is used up."""
        kept = data[: self._bytes]
        self._bytes -= len(kept)
        self._reads -= 1
        try:
            self._receive(kept)
        except (ssl.SSLError, EOFError, ProtocolError) as error:
            self._fail(error)
        if len(kept) < len(data) or self._reads < 0:
            self._fail(ProtocolError(f"sent more than {MAX_BYTES} bytes or {MAX_READS} pieces"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the reader, which raises the reason."""
        if self.has_answered or self._uses_tls:
            self._fail(exc or EOFError(CLOSED))
        else:
            self._fail(UnansweredError(f"{CLOSED} before it sent anything"))
        self._wake()

    def _receive(self, data: bytes) -> None:
        if self._tls:
            records = self._tls.receive(data, self._frames + 1)
            self._received += self._tls.read()
            self.count_frames(records)
            if self._tls.is_closed:
                raise EOFError(CLOSED)
            return
        is_first, self.has_answered = not self.has_answered, True
        if is_first and not self._uses_tls and RECORD_START.match(data):
            raise TlsAnswerError("answers with TLS where plain text is expected")
        self._received += data

    def _send(self, data: bytes) -> None:
        if data and self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def _take(self, length: int) -> bytes:
        data = bytes(self._received[:length])
        del self._received[:length]
        return data

    async def _wait_for_data(self) -> None:
        if self._failure:
            raise self._failure
        if self._tls:  # the end of the handshake, or the answer to a key update
            self._send(self._tls.outgoing.read())
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    def _wake(self) -> None:
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.abort()
