"""Adapts recorded answers to a live client: nonces, proofs and numbers."""

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

# Bytes of an integer, and of a row before its first value: type, length and number of columns.
INT, VALUES = 4, 7

# Types of authentication requests: the SCRAM challenge, and the server's proof.
CONTINUE, END = b"\0\0\0\x0b", b"\0\0\0\x0c"


class LiveAnswers:
    """The server's side of one connection, with the client's nonces and valid proofs."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        request = (NONCE.search(turn.request) for turn in conversation.turns)
        self._recorded_nonce = next(filter(None, request), None)
        self._nonce: re.Match[bytes] | None = None
        self._challenge = b""

    def answers(self, turn: int, received: bytes) -> tuple[bytes, ...]:
        """Return the messages of a turn, for what the client has sent."""
        recorded = self._conversation.turns[turn]
        self._nonce = self._nonce or NONCE.search(received)
        if not received:
            return recorded.messages
        if self._conversation.protocol == "redis":
            return _echo_arguments(recorded.request, received, recorded.messages)
        if self._conversation.protocol == "postgres":
            proven = (self._prove(message, received) for message in recorded.messages)
            return tuple(_echo_number(one, received) if one[:1] == b"D" else one for one in proven)
        return recorded.messages

    def _prove(self, message: bytes, received: bytes) -> bytes:
        if message[:1] != b"R" or not self._recorded_nonce or not self._nonce:
            return message
        if message[5:9] == CONTINUE:
            message = message.replace(self._recorded_nonce[2], self._nonce[2])
            self._challenge = message[9:]
        if message[5:9] == END and (final := FINAL.search(received)):
            signed = b",".join((self._nonce[1], self._challenge, final[1]))
            message = message[:9] + b"v=" + self._signature(signed)
        return message

    def _signature(self, signed: bytes) -> bytes:
        challenge = CHALLENGE.search(self._challenge)
        assert challenge
        password = (self._conversation.target.password or "").encode()
        key = _server_key(password, base64.b64decode(challenge[2]), int(challenge[3]))
        return base64.b64encode(hmac.digest(key, signed, "sha256"))


def _echo_number(row: bytes, received: bytes) -> bytes:
    """Replace the first column of a row by the number that the client asks for."""
    number = NUMBER.search(received)
    if number is None:
        return row
    end = VALUES + INT + int.from_bytes(row[VALUES : VALUES + INT])
    content = row[INT + 1 : VALUES] + struct.pack("!i", len(number[1])) + number[1] + row[end:]
    return b"D" + struct.pack("!i", len(content) + INT) + content


@cache
def _server_key(password: bytes, salt: bytes, iterations: int) -> bytes:
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    return hmac.digest(salted, b"Server Key", "sha256")


def _echo_arguments(
    request: bytes, received: bytes, messages: tuple[bytes, ...]
) -> tuple[bytes, ...]:
    """Replace recorded arguments, such as the nonce of a PING, in the answers."""
    pairs = zip(ARGUMENT.findall(request), ARGUMENT.findall(received), strict=False)
    for before, now in pairs:
        if before != now:
            messages = tuple(message.replace(before, now) for message in messages)
    return messages
