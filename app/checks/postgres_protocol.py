"""How a session with PostgreSQL begins: its password is proven before the driver hears a word.

https://www.postgresql.org/docs/current/protocol-flow.html
"""

import hashlib
import re
import struct
from collections.abc import Container
from dataclasses import dataclass

from app.checks.connection import MAX_BYTES, BoundedConnection
from app.checks.errors import CredentialError, ProtocolError
from app.checks.scram import MECHANISM, KeyDerivation, ScramClient


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


async def read_message(wire: BoundedConnection, kinds: Container[bytes]) -> tuple[bytes, bytes]:
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


# Requests for authentication, by their number.
OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12

# Notices, and the server's word that it knows an older protocol.
ASIDES = frozenset({b"N", b"v"})


@dataclass(frozen=True, slots=True)
class PostgresLogin:
    """Who connects, and the password to prove.

    Attributes:
        derive: derives a key from the password, as SCRAM asks.

    """

    user: str
    password: str
    derive: KeyDerivation

    async def __call__(self, wire: BoundedConnection) -> bool:
        """Authenticate, and return whether the server has asked for the password.

        Raises:
            ServerError: the server refuses.
            ProtocolError: it asks in a way that is not known, or does not prove who it is.
            CredentialError: the password can't be sent.
            EOFError, OSError: the connection has ended.

        """
        number, content = await _request(wire)
        if number == SASL:
            await self._prove(wire, content)
        elif number == CLEARTEXT and not content:
            wire.write(message(b"p", self._text(self.password)))
        elif number == MD5 and len(content) == INT:
            wire.write(message(b"p", self._text(self._hashed(content))))
        elif number == OK and not content:
            return False
        else:
            msg = f"authentication of type {number}"
            raise ProtocolError(msg)
        if await _request(wire) != (OK, b""):
            msg = "another request in the middle of an authentication"
            raise ProtocolError(msg)
        return True

    async def _prove(self, wire: BoundedConnection, mechanisms: bytes) -> None:
        if MECHANISM not in mechanisms.split(b"\0"):
            msg = "none of the server's mechanisms is SCRAM-SHA-256"
            raise ProtocolError(msg)
        scram = ScramClient(self.password, self.derive)
        first = struct.pack("!i", len(scram.first)) + scram.first
        wire.write(message(b"p", MECHANISM + b"\0" + first))
        challenge = await _expected(wire, SASL_CONTINUE)
        wire.write(message(b"p", await scram.answer(challenge)))
        scram.verify(await _expected(wire, SASL_FINAL))

    def _hashed(self, salt: bytes) -> str:
        inner = hashlib.md5((self.password + self.user).encode(), usedforsecurity=False)
        outer = hashlib.md5(inner.hexdigest().encode() + salt, usedforsecurity=False)
        return f"md5{outer.hexdigest()}"

    def _text(self, text: str) -> bytes:
        if "\0" in text:
            msg = "the password holds a NUL, which PostgreSQL does not take"
            raise CredentialError(msg)
        return text.encode() + b"\0"


async def _request(wire: BoundedConnection) -> tuple[int, bytes]:
    while True:
        kind, content = await read_message(wire, {b"R", *ASIDES})
        if kind == b"R":
            break
    if len(content) < INT:
        msg = "a request for authentication without a type"
        raise ProtocolError(msg)
    return int.from_bytes(content[:INT]), content[INT:]


async def _expected(wire: BoundedConnection, number: int) -> bytes:
    found, content = await _request(wire)
    if found != number:
        msg = f"a request of type {found} in the middle of SCRAM"
        raise ProtocolError(msg)
    return content
