"""The client's side of SCRAM-SHA-256: each side proves to the other that it knows the password.

https://www.rfc-editor.org/rfc/rfc5802, https://www.rfc-editor.org/rfc/rfc7677
"""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from functools import partial

from app.checks.errors import ProtocolError
from app.checks.network import run_in_thread


MECHANISM = b"SCRAM-SHA-256"

# The server chooses the number of iterations, and so how long a derivation takes. OWASP recommends
# 600,000, which take one or two tenths of a second; PostgreSQL's default is 4,096.
MAX_ITERATIONS = 2_000_000

# The header that declines channel binding.
GS2_HEADER = b"n,,"

SERVER_FIRST = re.compile(
    rb"r=([!-+\--~]{1,256}),s=([A-Za-z0-9+/]{1,256}={0,2}),i=([1-9][0-9]{0,9})"
)

# The characters that RFC 4013 prohibits, and those that Unicode 3.2 does not have.
PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class KeyDerivation:
    """Derives keys from passwords on a thread, one at a time. Each check has its own instance.

    The latest key is cached: the server asks for the same key at each login, and one attempt may be
    too short to derive it.
    """

    def __init__(self) -> None:
        self._inputs: tuple[str, bytes, int] | None = None
        self._latest: asyncio.Future[bytes | Exception] | None = None

    async def __call__(self, password: str, salt: bytes, iterations: int) -> bytes:
        """Return the salted password, as RFC 5802 calls the key."""
        inputs = password, salt, iterations
        while self._latest and not self._latest.done() and inputs != self._inputs:
            await asyncio.wait({self._latest})
        if not self._latest or inputs != self._inputs:
            derive = partial(_derive, *inputs)
            self._inputs, self._latest = inputs, run_in_thread(derive, "derive a key")
        outcome = await asyncio.shield(self._latest)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _derive(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)


class ScramClient:
    """One login.

    Attributes:
        first_message: the message that starts the login.
    """

    def __init__(self, password: str, derive: KeyDerivation) -> None:
        self._password = password
        self._derive = derive
        self._nonce = secrets.token_urlsafe(24).encode()
        self._first_bare = b"n=,r=" + self._nonce
        self._signature = b""
        self.first_message = GS2_HEADER + self._first_bare

    async def final_message(self, challenge: bytes) -> bytes:
        """Return the client's proof, in answer to the server's challenge.

        Raises:
            ProtocolError: the challenge is malformed, or asks for too many iterations.
        """
        match = SERVER_FIRST.fullmatch(challenge)
        if not match or not match[1].startswith(self._nonce) or match[1] == self._nonce:
            raise ProtocolError("malformed SCRAM challenge")
        nonce, salt, iterations = match[1], _decode_salt(match[2]), int(match[3])
        if iterations > MAX_ITERATIONS:
            raise ProtocolError(
                f"SCRAM asks for {iterations} iterations, more than {MAX_ITERATIONS}"
            )
        without_proof = b"c=" + base64.b64encode(GS2_HEADER) + b",r=" + nonce
        salted = await self._derive(self._password, salt, iterations)
        signed = b",".join((self._first_bare, challenge, without_proof))
        key = _hmac(salted, b"Client Key")
        mask = _hmac(hashlib.sha256(key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(key, mask, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return without_proof + b",p=" + base64.b64encode(proof)

    def verify(self, final: bytes) -> None:
        """Verify the server's proof in its final message.

        Raises:
            ProtocolError: the server does not know the password.
        """
        expected = b"v=" + base64.b64encode(self._signature)
        if not self._signature or not hmac.compare_digest(final, expected):
            raise ProtocolError("the server has not proved that it knows the password")


def saslprep(password: str) -> str:
    """Return a password normalized by SASLprep (RFC 4013), or unchanged if SASLprep rejects it.

    Like PostgreSQL, it rejects before it normalizes, and normalizes by the current Unicode.
    """
    if password.isascii():
        return password
    spaced = "".join(" " if stringprep.in_table_c12(one) else one for one in password)
    mapped = "".join(one for one in spaced if not stringprep.in_table_b1(one))
    is_prohibited = any(matches(one) for one in mapped for matches in PROHIBITED)
    if not mapped or is_prohibited or _mixes_directions(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped)


def _mixes_directions(text: str) -> bool:
    """Return whether text has right-to-left characters, but also others, or not at both ends."""
    if not any(map(stringprep.in_table_d1, text)):
        return False
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return not ends or any(map(stringprep.in_table_d2, text))


def _decode_salt(salt: bytes) -> bytes:
    try:
        return base64.b64decode(salt, validate=True)
    except ValueError:
        raise ProtocolError("the SCRAM salt is not base64") from None


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
