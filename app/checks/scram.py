"""SCRAM-SHA-256 as a client of PostgreSQL: proves a password, and has the server prove it too.

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

# The server chooses how long a derivation takes. OWASP recommends 600,000 iterations, a tenth of
# a second or two; PostgreSQL's own default is 4,096.
MAX_ITERATIONS = 2_000_000

# No channel binding.
HEADER = b"n,,"

CHALLENGE = re.compile(rb"r=([!-+\--~]{1,256}),s=([A-Za-z0-9+/]{1,256}={0,2}),i=([1-9][0-9]{0,9})")

# What RFC 4013 forbids, beside characters that Unicode 3.2 did not have.
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
    """Derives keys from passwords on a thread, one at a time, however many attempts are abandoned.

    The latest key is kept: a server asks for the same one again, and an attempt may have had no
    time for it. A check has one of these.
    """

    def __init__(self) -> None:
        self._inputs: tuple[str, bytes, int] | None = None
        self._latest: asyncio.Future[bytes | Exception] | None = None

    async def __call__(self, password: str, salt: bytes, iterations: int) -> bytes:
        """Return the salted password."""
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
    return hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, iterations)


class ScramClient:
    """One authentication.

    Attributes:
        first: what the client sends first.

    """

    def __init__(self, password: str, derive: KeyDerivation) -> None:
        self._password = password
        self._derive = derive
        self._nonce = secrets.token_urlsafe(24).encode()
        self._bare = b"n=,r=" + self._nonce
        self._signature = b""
        self.first = HEADER + self._bare

    async def answer(self, challenge: bytes) -> bytes:
        """Return the proof that the server's challenge asks for.

        Raises:
            ProtocolError: it is no challenge, or asks for too much work.

        """
        match = CHALLENGE.fullmatch(challenge)
        if not match or not match[1].startswith(self._nonce) or match[1] == self._nonce:
            msg = "not a challenge of SCRAM"
            raise ProtocolError(msg)
        nonce, salt, iterations = match[1], _decoded(match[2]), int(match[3])
        if iterations > MAX_ITERATIONS:
            msg = f"SCRAM with {iterations} iterations, more than {MAX_ITERATIONS}"
            raise ProtocolError(msg)
        final = b"c=" + base64.b64encode(HEADER) + b",r=" + nonce
        salted = await self._derive(self._password, salt, iterations)
        signed = b",".join((self._bare, challenge, final))
        key = _hmac(salted, b"Client Key")
        mask = _hmac(hashlib.sha256(key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(key, mask, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return final + b",p=" + base64.b64encode(proof)

    def verify(self, final: bytes) -> None:
        """See that the server knows the password as well.

        Raises:
            ProtocolError: it does not.

        """
        expected = b"v=" + base64.b64encode(self._signature)
        if not self._signature or not hmac.compare_digest(final, expected):
            msg = "the server did not prove that it knows the password"
            raise ProtocolError(msg)


def prepared(password: str) -> str:
    """Return a password as SASLprep (RFC 4013) has it, or unchanged if that refuses it.

    So does PostgreSQL, which refuses before it normalizes, and normalizes as Unicode does today.
    """
    if password.isascii():
        return password
    spaced = "".join(" " if stringprep.in_table_c12(one) else one for one in password)
    mapped = "".join(one for one in spaced if not stringprep.in_table_b1(one))
    forbidden = any(refuses(one) for one in mapped for refuses in PROHIBITED)
    if not mapped or forbidden or _mixes_directions(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped)


def _mixes_directions(text: str) -> bool:
    """Return whether text from right to left is not that from its first character to its last."""
    if not any(map(stringprep.in_table_d1, text)):
        return False
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return not ends or any(map(stringprep.in_table_d2, text))


def _decoded(salt: bytes) -> bytes:
    try:
        return base64.b64decode(salt, validate=True)
    except ValueError:
        msg = "a salt that is not base64"
        raise ProtocolError(msg) from None


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
