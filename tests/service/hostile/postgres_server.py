"""A minimal PostgreSQL server, in phases at which an attack can start.

https://www.postgresql.org/docs/current/protocol-flow.html
"""

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Callable

from tests.service.hostile.client import Client, script, scripted


PASSWORD = "a password"  # noqa: S105 - of a server that exists for one test
SSL_REQUEST = 80877103


def message(kind: bytes, content: bytes = b"", length: int | None = None) -> bytes:
    """Return a message, with the given length even if it is wrong."""
    return kind + struct.pack("!i", len(content) + 4 if length is None else length) + content


def authentication(number: int, content: bytes = b"") -> bytes:
    """Return an authentication request, or AuthenticationOk for the number 0."""
    return message(b"R", struct.pack("!i", number) + content)


def error(state: bytes, text: bytes = b"no") -> bytes:
    """Return an error message."""
    return message(b"E", b"SFATAL\0VFATAL\0C" + state + b"\0M" + text + b"\0\0")


def parameter(name: bytes, value: bytes) -> bytes:
    """Return a ParameterStatus message."""
    return message(b"S", name + b"\0" + value + b"\0")


def row(value: bytes) -> bytes:
    """Return a DataRow message with one column."""
    return message(b"D", b"\0\1" + struct.pack("!i", len(value)) + value)


AUTHENTICATED = authentication(0)
READY = message(b"Z", b"I")
SET = message(b"C", b"SET\0")
COLUMNS = message(b"T", b"\0\1" + b"?column?\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0))
SELECTED = message(b"C", b"SELECT 1\0")
ROW = row(b"1")
DONE = SET + COLUMNS + ROW + SELECTED  # the result of a query for the number 1
WELCOME = (
    parameter(b"server_version", b"17.2")
    + parameter(b"client_encoding", b"UTF8")
    + parameter(b"integer_datetimes", b"on")
    + message(b"K", bytes(8))
    + READY
)


async def started(client: Client) -> None:
    """Read the startup message, after refusing TLS and GSSAPI."""
    while True:
        length, code = struct.unpack("!ii", await client.read(8))
        if code < SSL_REQUEST - 10:
            await client.read(length - 8)
            return
        await client.write(b"N")


async def read_message(client: Client) -> bytes:
    """Return the content of the client's next message."""
    _, length = struct.unpack("!ci", await client.read(5))
    return await client.read(length - 4)


async def read_query(client: Client) -> None:
    """Read a query."""
    await read_message(client)


@scripted
async def answer_query(client: Client, surplus: bytes = b"") -> None:
    """Answer a query, and send *surplus* after that."""
    number = re.search(rb"SELECT (\d+)", await read_message(client))
    value = row(number[1] if number else b"")
    await client.write(SET + COLUMNS + value + SELECTED + READY + surplus)


async def answer_queries(client: Client) -> None:
    """Answer every query."""
    while True:
        await answer_query()(client)


authenticated = script(started, AUTHENTICATED)
welcomed = script(authenticated, WELCOME)
queried = script(welcomed, read_query)
honest = script(welcomed, answer_queries)

SCRAM_OFFER = authentication(10, b"SCRAM-SHA-256\0\0")
SALT = base64.b64encode(b"sixteen bytes...")


def challenge(nonce: bytes, iterations: bytes = b"4096") -> bytes:
    """Return the server's first SCRAM message."""
    return b"r=" + nonce + b"s3rver,s=" + SALT + b",i=" + iterations


def signed(signature: bytes) -> bytes:
    """Return the server's last SCRAM message."""
    return authentication(12, b"v=" + signature)


@scripted
async def scram(
    client: Client,
    challenges: Callable[[bytes], bytes] = challenge,
    ends: Callable[[bytes], bytes] = signed,
    iterations: int = 4096,
) -> None:
    """Authenticate the client by SCRAM-SHA-256.

    Args:
        challenges: returns the server's first message for the client's nonce.
        ends: returns what follows the client's proof, for the correct signature in base64.
        iterations: the iterations of the challenge, for the signature.
    """
    await client.write(SCRAM_OFFER)
    bare = (await read_message(client)).partition(b",,")[2]
    server_first = challenges(bare.partition(b"r=")[2])
    await client.write(authentication(11, server_first))
    proof = (await read_message(client)).split(b",p=")[0]
    salt = base64.b64decode(SALT)
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, iterations)
    key = hmac.digest(salted, b"Server Key", "sha256")
    signature = hmac.digest(key, b",".join((bare, server_first, proof)), "sha256")
    await client.write(ends(base64.b64encode(signature)))
