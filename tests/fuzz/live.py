"""What a recorded answer has to be changed in, so that it answers a live client."""

import base64
import hashlib
import hmac
import re
import struct
from functools import cache

from tests.fuzz.conversation import Conversation


ARGUMENT = re.compile(rb"\$\d+\r\n([^\r]*)\r\n")
NONCE = re.compile(rb"n,,(n=[^,]*,r=([^,\0]+))")
CHALLENGE = re.compile(rb"r=([^,]+),s=([^,]+),i=(\d+)")
NUMBER = re.compile(rb"; SELECT (\d+)")
FINAL = re.compile(rb"(c=[^,]+,r=[^,]+),p=")

# Requests for authentication, by their number: the challenge of SCRAM, and the server's proof.
CONTINUE, END = b"\0\0\0\x0b", b"\0\0\0\x0c"


class Live:
    """The server's side of one connection: nonces are the client's own, and proofs are true."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        asked = (NONCE.search(turn.asked) for turn in conversation.turns)
        self._recorded = next(filter(None, asked), None)
        self._nonce: re.Match[bytes] | None = None
        self._challenge = b""

    def answers(self, turn: int, heard: bytes) -> tuple[bytes, ...]:
        """Return the messages of a turn, in which the client has sent this."""
        recorded = self._conversation.turns[turn]
        self._nonce = self._nonce or NONCE.search(heard)
        if not heard:
            return recorded.messages
        if self._conversation.wire == "redis":
            return _echoed(recorded.asked, heard, recorded.messages)
        if self._conversation.wire == "postgres":
            row = _row(heard)
            proven = (self._proving(message, heard) for message in recorded.messages)
            return tuple(row if row and one[:1] == b"D" else one for one in proven)
        return recorded.messages

    def _proving(self, message: bytes, heard: bytes) -> bytes:
        if message[:1] != b"R" or not self._recorded or not self._nonce:
            return message
        if message[5:9] == CONTINUE:
            message = message.replace(self._recorded[2], self._nonce[2])
            self._challenge = message[9:]
        if message[5:9] == END and (final := FINAL.search(heard)):
            signed = b",".join((self._nonce[1], self._challenge, final[1]))
            message = message[:9] + b"v=" + self._signature(signed)
        return message

    def _signature(self, signed: bytes) -> bytes:
        challenge = CHALLENGE.search(self._challenge)
        assert challenge
        password = (self._conversation.question.password or "").encode()
        key = _server_key(password, base64.b64decode(challenge[2]), int(challenge[3]))
        return base64.b64encode(hmac.digest(key, signed, "sha256"))


def _row(heard: bytes) -> bytes:
    """Return the row that answers a question for a number."""
    number = NUMBER.search(heard)
    if number is None:
        return b""
    row = struct.pack("!hi", 1, len(number[1])) + number[1]
    return b"D" + struct.pack("!i", len(row) + 4) + row


@cache
def _server_key(password: bytes, salt: bytes, iterations: int) -> bytes:
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    return hmac.digest(salted, b"Server Key", "sha256")


def _echoed(asked: bytes, heard: bytes, messages: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Put the arguments that differ, such as the nonce of a PING, into the answers."""
    pairs = zip(ARGUMENT.findall(asked), ARGUMENT.findall(heard), strict=False)
    for before, now in pairs:
        if before != now:
            messages = tuple(message.replace(before, now) for message in messages)
    return messages
