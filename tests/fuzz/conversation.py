"""A recorded conversation between a probe and its dependency, as messages."""

import re
import ssl
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any


# The first line of a RESP value, which holds the length of a bulk string.
RESP = re.compile(rb"[^\r]*\r\n")

# Seconds for an answer that is certain to arrive, also on a busy machine.
LONG_TIMEOUT = 20

# A TLS record that has no meaning since version 1.3.
CHANGE_CIPHER_SPEC = b"\x14"


@dataclass(frozen=True, slots=True)
class Target:
    """The probe that the child runs.

    Attributes:
        kind: `postgres`, `redis` or `http`.
        url: a template with `{port}`.
    """

    kind: str
    url: str
    password: str | None = None
    require: str = "query"
    condition: str = ""

    def order(self, port: int, attempts: int, timeout: float = LONG_TIMEOUT) -> dict[str, Any]:
        """Return the order to run attempts at this port, each with a timeout in seconds."""
        where = {"url": self.url.format(port=port), "port": port}
        return {**asdict(self), **where, "attempts": attempts, "timeout": timeout}


@dataclass(frozen=True, slots=True)
class Turn:
    """What the client sends, and the messages of the server's answer."""

    request: bytes
    messages: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A recorded conversation.

    Attributes:
        protocol: how its bytes are split into messages: `postgres`, `redis`, `http` or `tls`.
        first: how many turns the first attempt takes.
        reasons: the reasons of its attempts.
        closes: whether the server ended it.
        context: the server's TLS context, if it uses TLS.
        inner: the conversation over TLS, if this is its TLS records.
    """

    name: str
    target: Target
    protocol: str
    turns: tuple[Turn, ...]
    first: int
    reasons: tuple[str, ...]
    closes: bool
    context: ssl.SSLContext | None = None
    inner: "Conversation | None" = None

    def is_vital(self, message: bytes) -> bool:
        """Return whether an attempt can't pass without this message."""
        if self.protocol == "postgres":
            return message[:1] in {b"R", b"C", b"Z"}
        if self.protocol == "http":
            return message.startswith(b"HTTP/1.1") and message[9:10] != b"1"
        return message[:1] != CHANGE_CIPHER_SPEC


def split(protocol: str, data: bytes) -> tuple[bytes, ...]:
    """Split a server's bytes into messages."""
    ends = [0]
    while ends[-1] < len(data):
        ends.append(min(len(data), _end(protocol, data, ends[-1])))
    return tuple(data[start:end] for start, end in pairwise(ends))


def _end(protocol: str, data: bytes, start: int) -> int:
    """Return where the message ends that begins at *start*."""
    if data == b"N" or (protocol == "tls" and start == 0 and data[:1] == b"S"):
        return 1  # the answer to PostgreSQL's request for TLS
    if protocol == "postgres":
        return start + 1 + int.from_bytes(data[start + 1 : start + 5])
    if protocol == "tls":
        return start + 5 + int.from_bytes(data[start + 3 : start + 5])
    if protocol == "http":
        end = data.find(b"\r\n\r\n", start)
        return len(data) if end < 0 else end + 4
    line = RESP.match(data, start)
    if line is None:
        return len(data)
    length = int(line[0][1:]) if line[0][:1] == b"$" else -1
    return line.end() + (length + 2 if length >= 0 else 0)
