"""TLS without a socket: bytes in, bytes out."""

import re
import ssl

from app.probes.blocking import on_thread
from app.probes.reasons import PlainAnswerError


# A record begins with one of these types, then 3, whatever its version. No answer in plain text
# does. https://www.rfc-editor.org/rfc/rfc8446#section-5.1
TYPES = range(0x14, 0x18)
RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")

# Bytes before the content of a record: its type, version and length.
HEADER = 5

# A record holds no more.
READ_SIZE = 16 * 1024


class Tls:
    """One side of a connection over TLS, the client's.

    Attributes:
        is_over: whether the other side has said that nothing more comes.

    """

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        self.is_over = False
        self.outgoing = ssl.MemoryBIO()
        self._incoming = ssl.MemoryBIO()
        self._partial = bytearray()
        self.object = context.wrap_bio(self._incoming, self.outgoing, server_hostname=server_name)

    def receive(self, data: bytes, most: int) -> int:
        """Take in what has arrived after the handshake, as `take_records` does."""
        self._partial += data
        return self.take_records(self._partial, most)

    def take_records(self, received: bytearray, most: int) -> int:
        """Move so many whole records at most out of what has arrived, and return how many.

        A step of the handshake is worth a thread when it can go on. Each record costs work that
        its length does not show, such as new keys.

        Raises:
            PlainAnswerError: something is no record.

        """
        records, end, following = -1, 0, 0
        while following <= len(received) and records < most:
            records, end = records + 1, following
            if end < len(received) and received[end] not in TYPES:
                msg = "answers in plain text where TLS is expected"
                raise PlainAnswerError(msg)
            header = received[end : end + HEADER]
            following = end + HEADER + int.from_bytes(header[3:])
            if len(header) < HEADER:
                break
        self._incoming.write(received[:end])
        del received[:end]
        return records

    async def shakes_hands(self) -> bool:
        """Return whether the handshake is complete; if not, more has to arrive."""
        outcome = await on_thread(self.object.do_handshake, "TLS handshake")
        if isinstance(outcome, ssl.SSLWantReadError):
            return False
        if isinstance(outcome, Exception):
            raise outcome
        return True

    def read(self) -> bytes:
        """Return what can be decrypted of what has arrived.

        Raises:
            ssl.SSLError: something that has arrived is no TLS.

        """
        data = bytearray()
        try:
            while part := self.object.read(READ_SIZE):
                data += part
            self.is_over = True
        except ssl.SSLWantReadError:
            pass
        return bytes(data)
