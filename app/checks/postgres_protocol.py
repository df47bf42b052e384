"""PostgreSQL's wire protocol: messages, errors, and the login before asyncpg takes over.

https://www.postgresql.org/docs/current/protocol-flow.html
"""

import hashlib
import re
import struct
from collections.abc import Container
from dataclasses import dataclass

from app.checks.connection import MAX_BYTES, MAX_ERROR_TEXT, BoundedConnection
from app.checks.errors import CredentialError, ProtocolError
from app.checks.scram import MECHANISM, KeyDerivation, ScramClient


# Bytes of an integer, such as a message's length.
INT_SIZE = 4

SQLSTATE = re.compile(rb"[0-9A-Z]{5}")


class PostgresServerError(Exception):
    """An error message of the server.

    Attributes:
        sqlstate: the five characters of the error code.
    """

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(f"{sqlstate}: {text}")
        self.sqlstate = sqlstate
        self.text = text


# The messages that a server may send at any time: changed parameters, notices, and notifications
# for which an earlier client of a pooler has asked.
ASYNC_MESSAGES = frozenset({b"S", b"N", b"A"})


async def read_message(
    connection: BoundedConnection, kinds: Container[bytes]
) -> tuple[bytes, bytes]:
    """Return the type of the next message and its content.

    Args:
        kinds: the types that are allowed at this point.

    Raises:
        PostgresServerError: the message is an error.
        ProtocolError: the message has another type, or an impossible length.
        EOFError, OSError: the connection has ended.
    """
    kind, length = struct.unpack("!ci", await connection.read(5))
    if (kind not in kinds and kind != b"E") or not INT_SIZE <= length <= MAX_BYTES:
        raise ProtocolError(f"unexpected message of type {kind!r} and length {length}")
    connection.count_frames()
    content = await connection.read(length - INT_SIZE)
    if kind == b"E":
        raise parse_error(content)
    return kind, content


def parse_error(content: bytes) -> PostgresServerError:
    """Parse an error message. Before the login its text may be in any encoding.

    Raises:
        ProtocolError: the message has no SQLSTATE.
    """
    fields = {field[:1]: field[1:] for field in content.split(b"\0") if field}
    state = fields.get(b"C", b"")
    if not SQLSTATE.fullmatch(state):
        raise ProtocolError("an error without an SQLSTATE")
    text = fields.get(b"M", b"")[:MAX_ERROR_TEXT].decode(errors="replace")
    return PostgresServerError(state.decode(), text)


def parse_row(content: bytes) -> list[bytes | None]:
    """Return the values of a row in their text format.

    Raises:
        ProtocolError: the lengths do not add up.
    """
    values = list[bytes | None]()
    end = 2
    try:
        for _ in range(*struct.unpack_from("!h", content)):
            (length,) = struct.unpack_from("!i", content, end)
            start, end = end + INT_SIZE, end + INT_SIZE + max(length, 0)
            values.append(content[start:end] if length >= 0 else None)
    except struct.error:
        end = -1
    if end != len(content):
        msg = "a row whose lengths do not add up"
        raise ProtocolError(msg)
    return values


def encode_message(kind: bytes, content: bytes) -> bytes:
    """Return the bytes of a message."""
    return kind + struct.pack("!i", len(content) + INT_SIZE) + content


def is_ascii_string(content: bytes) -> bool:
    """Return whether *content* is one ASCII string with its final NUL."""
    return content.isascii() and content.count(b"\0") == 1 and content.endswith(b"\0")


# The types of authentication requests.
OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12

# NoticeResponse and NegotiateProtocolVersion, which may come at any time during a login.
LOGIN_NOTICES = frozenset({b"N", b"v"})


@dataclass(frozen=True, slots=True)
class PostgresLogin:
    """Authenticates a user on a connection.

    Attributes:
        derive: derives the key for SCRAM from the password.
    """

    user: str
    password: str
    derive: KeyDerivation

    async def __call__(self, connection: BoundedConnection) -> bool:
        """Authenticate, and return whether the server has asked for the password.

        Raises:
            PostgresServerError: the server refuses.
            ProtocolError: the server asks for an unknown method, or fails to prove its identity.
            CredentialError: the password can't be sent.
            EOFError, OSError: the connection has ended.
        """
        number, content = await _read_request(connection)
        if number == SASL:
            await self._authenticate_scram(connection, content)
        elif number == CLEARTEXT and not content:
            self._send_password(connection, self.password)
        elif number == MD5 and len(content) == INT_SIZE:
            self._send_password(connection, self._md5_hash(content))
        elif number == OK and not content:
            return False
        else:
            raise ProtocolError(f"unsupported authentication of type {number}")
        if await _read_request(connection) != (OK, b""):
            raise ProtocolError("another authentication request after the password")
        return True

    async def _authenticate_scram(self, connection: BoundedConnection, mechanisms: bytes) -> None:
        if MECHANISM not in mechanisms.split(b"\0"):
            raise ProtocolError("the server does not offer SCRAM-SHA-256")
        scram = ScramClient(self.password, self.derive)
        first = struct.pack("!i", len(scram.first_message)) + scram.first_message
        connection.write(encode_message(b"p", MECHANISM + b"\0" + first))
        challenge = await _read_scram(connection, SASL_CONTINUE)
        connection.write(encode_message(b"p", await scram.final_message(challenge)))
        scram.verify(await _read_scram(connection, SASL_FINAL))

    def _md5_hash(self, salt: bytes) -> str:
        inner = hashlib.md5((self.password + self.user).encode(), usedforsecurity=False)
        outer = hashlib.md5(inner.hexdigest().encode() + salt, usedforsecurity=False)
        return f"md5{outer.hexdigest()}"

    def _send_password(self, connection: BoundedConnection, password: str) -> None:
        if "\0" in password:
            raise CredentialError("the password holds a NUL, which PostgreSQL does not accept")
        connection.write(encode_message(b"p", password.encode() + b"\0"))


async def _read_request(connection: BoundedConnection) -> tuple[int, bytes]:
    """Return the type of the next authentication request and its content."""
    kind = b""
    while kind != b"R":
        kind, content = await read_message(connection, {b"R", *LOGIN_NOTICES})
    if len(content) < INT_SIZE:
        raise ProtocolError("an authentication request without a type")
    return int.from_bytes(content[:INT_SIZE]), content[INT_SIZE:]


async def _read_scram(connection: BoundedConnection, number: int) -> bytes:
    """Return the content of the next authentication request, which must have this type."""
    found, content = await _read_request(connection)
    if found != number:
        raise ProtocolError(f"an authentication request of type {found} during SCRAM")
    return content
