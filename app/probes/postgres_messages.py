"""The messages of PostgreSQL, each read whole and checked before anything is made of it.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import re
import struct
from collections.abc import Container

from app.probes.reasons import ProtocolError
from app.probes.wire import MAX_BYTES, Wire


# The longest text of a server's error that is kept: it goes to the log.
MAX_TEXT = 300

# Bytes of a length, and of other numbers.
INT = 4

SQLSTATE = re.compile(rb"[0-9A-Z]{5}")


class ServerError(Exception):
    """The server refuses, and says why.

    Attributes:
        sqlstate: five characters.

    """

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(f"{sqlstate}: {text}")
        self.sqlstate = sqlstate
        self.text = text


async def read_message(wire: Wire, kinds: Container[bytes]) -> tuple[bytes, bytes]:
    """Return the type of the next message and its content.

    Args:
        kinds: the types that may come here.

    Raises:
        ServerError: it is an error.
        ProtocolError: it is of another type, or its length can't be true.
        EOFError, OSError: the connection has ended.

    """
    head = await wire.read(5)
    kind, length = struct.unpack("!ci", head)
    if (kind not in kinds and kind != b"E") or not INT <= length <= MAX_BYTES:
        msg = f"a message of type {kind!r} and length {length}"
        raise ProtocolError(msg)
    wire.count()
    content = await wire.read(length - INT)
    if kind == b"E":
        raise server_error(content)
    return kind, content


def server_error(content: bytes) -> ServerError:
    """Read an error, whatever encoding its text has: before a session begins it is the server's.

    Raises:
        ProtocolError: it has no SQLSTATE.

    """
    fields = {field[:1]: field[1:] for field in content.split(b"\0") if field}
    state = fields.get(b"C", b"")
    if not SQLSTATE.fullmatch(state):
        msg = "an error without an SQLSTATE"
        raise ProtocolError(msg)
    text = fields.get(b"M", b"")[:MAX_TEXT].decode(errors="replace")
    return ServerError(state.decode(), text)


def message(kind: bytes, content: bytes) -> bytes:
    """Write a message."""
    return kind + struct.pack("!i", len(content) + INT) + content


def is_text(content: bytes) -> bool:
    """Return whether this is one text with the NUL that ends it, in ASCII."""
    return content.isascii() and content.count(b"\0") == 1 and content.endswith(b"\0")
