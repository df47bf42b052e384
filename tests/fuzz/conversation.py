"""A conversation between a probe and its dependency, and the messages that it is made of."""

import re
import ssl
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any


# What a RESP value begins with, up to the length of a bulk string.
RESP = re.compile(rb"[^\r]*\r\n")

# Seconds for an answer that is sure to come, on however busy a machine.
PATIENT = 20

# A record of TLS that means nothing since version 1.3.
CHANGE_CIPHER_SPEC = b"\x14"


@dataclass(frozen=True, slots=True)
class Question:
    """What the child is ordered to ask.

    Attributes:
        kind: `postgres`, `redis` or `http`.
        url: with `{port}` where the port belongs.

    """

    kind: str
    url: str
    password: str | None = None
    require: str = "query"

    def order(self, lane: int, port: int, asks: int, timeout: float = PATIENT) -> dict[str, Any]:
        """Return the order to ask a dependency at this port, with so many seconds for an answer."""
        url = self.url.format(port=port)
        return {**asdict(self), "url": url, "lane": lane, "asks": asks, "timeout": timeout}


@dataclass(frozen=True, slots=True)
class Turn:
    """What the client sends, and what the server then answers."""

    asked: bytes
    messages: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A recorded conversation.

    Attributes:
        wire: how its bytes are split into messages: `postgres`, `redis`, `http` or `tls`.
        first: how many turns the first question takes.
        reasons: what its questions came to.
        closes: whether the server ended it.
        context: that of the server, where it speaks TLS.
        within: what was said, where this is the records of TLS that carried it.

    """

    name: str
    question: Question
    wire: str
    turns: tuple[Turn, ...]
    first: int
    reasons: tuple[str, ...]
    closes: bool
    context: ssl.SSLContext | None = None
    within: "Conversation | None" = None

    def is_vital(self, message: bytes) -> bool:
        """Return whether a question can't be answered without this message."""
        if self.wire == "postgres":
            return message[:1] in {b"R", b"C", b"Z"}
        if self.wire == "http":
            return message.startswith(b"HTTP/1.1") and message[9:10] != b"1"
        return message[:1] != CHANGE_CIPHER_SPEC


def split(wire: str, data: bytes) -> tuple[bytes, ...]:
    """Return the messages that a server's bytes consist of."""
    ends = [0]
    while ends[-1] < len(data):
        ends.append(min(len(data), ENDS[wire](data, ends[-1])))
    return tuple(data[start:end] for start, end in pairwise(ends))


def _end_of_postgres(data: bytes, start: int) -> int:
    if data == b"N":
        return 1  # the answer to the request for TLS
    return start + 1 + int.from_bytes(data[start + 1 : start + 5])


def _end_of_redis(data: bytes, start: int) -> int:
    line = RESP.match(data, start)
    if line is None:
        return len(data)
    length = int(line[0][1:]) if line[0][:1] == b"$" else -1
    return line.end() + (length + 2 if length >= 0 else 0)


def _end_of_http(data: bytes, start: int) -> int:
    end = data.find(b"\r\n\r\n", start)
    return len(data) if end < 0 else end + 4


def _end_of_tls(data: bytes, start: int) -> int:
    if start == 0 and data[:1] == b"S":
        return 1  # the answer to PostgreSQL's request for TLS
    return start + 5 + int.from_bytes(data[start + 3 : start + 5])


ENDS = {
    "postgres": _end_of_postgres,
    "redis": _end_of_redis,
    "http": _end_of_http,
    "tls": _end_of_tls,
}
