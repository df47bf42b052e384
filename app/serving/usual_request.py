"""Usual requests in bytes, for a server that need not parse what it knows."""

import re
from dataclasses import dataclass

from app.api.readymade import usual


# Longer ones are not what probers send.
MAX_LENGTH = 2048

# Stricter than HTTP is: what a lenient parser might read otherwise is left to it, blanks at the
# ends of a value included.
VALUE = rb"(?:[!-~](?:[\t -~]*[!-~])?)?"
REQUEST = re.compile(
    rb"(GET|HEAD) (/[a-z/]*) HTTP/1\.([01])\r\n((?:[A-Za-z-]+: " + VALUE + rb"\r\n)*)\r\n"
)
HEADER = re.compile(rb"([A-Za-z-]+): (" + VALUE + rb")\r\n")

# What probers send; none of these changes how a request is framed, but for `Connection`.
NAMES = frozenset(
    {b"host", b"user-agent", b"accept", b"accept-encoding", b"cache-control", b"connection"}
)
CONNECTION = frozenset({b"close", b"keep-alive"})


@dataclass(frozen=True, slots=True)
class Request:
    """A usual request; *close* is whether its connection ends with the answer."""

    method: str
    path: str
    version: str
    close: bool
    prober: bytes


def recognise(data: bytes) -> Request | None:
    """Read one complete, usual request, if that is what the bytes are, and nothing after it."""
    if len(data) > MAX_LENGTH or not (match := REQUEST.fullmatch(data)):
        return None
    method, path, minor, lines = match.groups()
    headers = [(name.lower(), value) for name, value in HEADER.findall(lines)]
    given = dict(headers)
    connection = given.get(b"connection", b"keep-alive").lower()
    if len(given) < len(headers) or not NAMES.issuperset(given) or connection not in CONNECTION:
        return None
    if (asker := usual(headers)) is None:
        return None
    close = connection == b"close" or minor == b"0"
    return Request(method.decode(), path.decode(), f"1.{minor.decode()}", close, asker)
