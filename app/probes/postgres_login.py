"""How a session with PostgreSQL begins: its password is proven before the driver hears a word.

https://www.postgresql.org/docs/current/protocol-flow.html
"""

import hashlib
import struct
from dataclasses import dataclass

from app.probes.postgres_messages import INT, message, read_message
from app.probes.reasons import CredentialError, ProtocolError
from app.probes.scram import MECHANISM, KeyDerivation, Scram
from app.probes.wire import Wire


# Requests for authentication, by their number.
OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12

# Notices, and the server's word that it knows an older protocol.
ASIDES = frozenset({b"N", b"v"})


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects, and the password to prove.

    Attributes:
        derive: derives a key from the password, as SCRAM asks.

    """

    user: str
    password: str
    derive: KeyDerivation

    async def __call__(self, wire: Wire) -> bool:
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

    async def _prove(self, wire: Wire, mechanisms: bytes) -> None:
        if MECHANISM not in mechanisms.split(b"\0"):
            msg = "none of the server's mechanisms is SCRAM-SHA-256"
            raise ProtocolError(msg)
        scram = Scram(self.password, self.derive)
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


async def _request(wire: Wire) -> tuple[int, bytes]:
    while True:
        kind, content = await read_message(wire, {b"R", *ASIDES})
        if kind == b"R":
            break
    if len(content) < INT:
        msg = "a request for authentication without a type"
        raise ProtocolError(msg)
    return int.from_bytes(content[:INT]), content[INT:]


async def _expected(wire: Wire, number: int) -> bytes:
    found, content = await _request(wire)
    if found != number:
        msg = f"a request of type {found} in the middle of SCRAM"
        raise ProtocolError(msg)
    return content
