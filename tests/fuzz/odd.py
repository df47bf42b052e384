"""Messages that a usual server never sends to a probe, and that could break a parser."""

import struct

from tests.service.hostile.http_attacks import LINES, UNUSUAL
from tests.service.hostile.postgres_server import authentication, error, message, parameter
from tests.service.hostile.redis_attacks import REPLIES


def kinds(letters: bytes, content: bytes = b"", length: int | None = None) -> list[bytes]:
    """Return a PostgreSQL message of each kind."""
    return [message(bytes([kind]), content, length) for kind in letters]


TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
HTTP_ERROR = b"HTTP/1.1 400 Bad Request\r\n\r\n"

POSTGRES = (
    *(one for length in (-1, 0, 3) for one in kinds(b"CSDRE", b"", length)),
    *(authentication(number) for number in (2, 3, 6, 7, 9, 10, 12, 13, -1)),
    authentication(10, b"SCRAM-SHA-256-PLUS\0\0"),
    authentication(11, b"v=,r=,s=,i="),
    authentication(11, b"r=a,s=YQ==,i=2147483647"),
    *(error(state) for state in (b"28P01", b"22012", b"", b"\xff\xff\xff\xff\xff")),
    error(b"28P01", "Passwort für".encode("latin-1")),
    error(b"XX000", b"x" * 60_000),
    error(b"08P01", b"too many connections"),
    message(b"E", b"C\0M\0\0"),
    message(b"E", b"\0"),
    *(message(b"T", struct.pack("!h", columns)) for columns in (-1, 32_767)),
    message(b"T", b"\0\x01a\0" + bytes(18)),
    *(message(b"D", struct.pack("!hi", 1, size)) for size in (-2, 2**31 - 1)),
    message(b"A", b"\0\0\0\x01channel\0payload\0"),
    message(b"N", b"SNOTICE\0C00000\0Mnotice\0\0"),
    parameter(b"server_version", b"\xff"),
    parameter(b"client_encoding", b"KLINGON"),
    parameter(b"TimeZone", b"x" * 10_000),
    message(b"K", bytes(8)),
    message(b"v", struct.pack("!ii", 0, 2**31 - 1)),
    *kinds(b"GHWdc", b"\0\0\x01\0\0"),
    *kinds(b"I123nstZ"),
    *(message(b"Z", status) for status in (b"I", b"T", b"E", b"X", b"II")),
    *(message(b"C", tag) for tag in (b"SELECT 1\0", b"SELECT 99999999999999999999999\0")),
    *(message(b"C", tag) for tag in (b"\xff\xfe", bytes(70_000))),
    b"S",
    b"N",
    TLS_HELLO,
    HTTP_ERROR,
)

ERRORS = (
    *(b"", b"ERR", b"NOAUTH Authentication required.", b"WRONGPASS invalid", b"LOADING"),
    *(b"MOVED 3999 127.0.0.1:6381", b"ASK 3999 \xff:x", b"READONLY", b"\xff" * 60_000),
    b"ERR max number of clients reached",
)
REDIS = (
    *REPLIES.values(),
    *(b"-" + text + b"\r\n" for text in ERRORS),
    *(b"+" + text + b"\r\n" for text in (b"PONG", b"OK", b"QUEUED", b"x" * 60_000)),
    *(b"*0\r\n" * 1_000, b"*100000\r\n", b"$0\r\n", b"$1\r\n", b"$4\r\nPONG\r\n", b",1.5e999\r\n"),
    *(b">2\r\n$7\r\nmessage\r\n+OK\r\n", b"(" + b"9" * 10_000 + b"\r\n", TLS_HELLO),
)

HTTP = (
    *UNUSUAL.values(),
    *(line + b"\r\n\r\n" for line in LINES),
    *(b"HTTP/%b 200 OK\r\n\r\n" % version for version in (b"0.9", b"2", b"9.9")),
    b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: miracles\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"x" * 60_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n folded\r\n\tmore\r\n\r\n",
    b"HTTP/1.1 200 OK\r\r\n\n",
    b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
    b"<html>",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    TLS_HELLO,
)

ODD = {"postgres": POSTGRES, "redis": REDIS, "http": HTTP}
