"""Messages that a usual server never sends to a probe, and that could break a parser."""

import struct


def frame(kind: bytes, content: bytes = b"", length: int | None = None) -> bytes:
    """Return a PostgreSQL message, with the given length even if it is wrong."""
    return kind + struct.pack("!i", len(content) + 4 if length is None else length) + content


def error(*fields: bytes) -> bytes:
    """Return a PostgreSQL error."""
    return frame(b"E", b"".join(field + b"\0" for field in fields) + b"\0")


POSTGRES = (
    *(frame(kind, b"", length) for kind in (b"C", b"S", b"D", b"R", b"E") for length in (-1, 0, 3)),
    *(frame(b"R", struct.pack("!i", number)) for number in (2, 3, 6, 7, 9, 10, 12, 13, -1)),
    frame(b"R", b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"),
    frame(b"R", b"\0\0\0\x0bv=,r=,s=,i="),
    frame(b"R", b"\0\0\0\x0br=a,s=YQ==,i=2147483647"),
    error(b"SFATAL", b"C28P01", b"Mpassword"),
    error(b"SERROR", b"C22012", b"Mdivision by zero"),
    error(b"SFEHLER", b"C28P01", "MPasswort für".encode("latin-1")),
    error(b"C", b"M"),
    error(b"C\xff\xff\xff\xff\xff", b"M\xff"),
    error(b"CXX000", b"M" + b"x" * 60_000),
    error(b"C08P01", b"Mtoo many connections"),
    error(),
    frame(b"T", struct.pack("!h", -1)),
    frame(b"T", struct.pack("!h", 32_767)),
    frame(b"T", b"\0\x01a\0" + bytes(18)),
    frame(b"D", struct.pack("!hi", 1, -2)),
    frame(b"D", struct.pack("!hi", 1, 2**31 - 1)),
    frame(b"A", b"\0\0\0\x01channel\0payload\0"),
    frame(b"N", b"SNOTICE\0C00000\0Mnotice\0\0"),
    frame(b"S", b"server_version\0\xff\0"),
    frame(b"S", b"client_encoding\0KLINGON\0"),
    frame(b"S", b"TimeZone\0" + b"x" * 10_000 + b"\0"),
    frame(b"K", bytes(8)),
    frame(b"v", struct.pack("!ii", 0, 2**31 - 1)),
    *(frame(kind, b"\0\0\x01\0\0") for kind in (b"G", b"H", b"W", b"d", b"c")),
    *(frame(kind) for kind in (b"I", b"1", b"2", b"3", b"n", b"s", b"t", b"Z")),
    *(frame(b"Z", status) for status in (b"I", b"T", b"E", b"X", b"II")),
    frame(b"C", b"SELECT 1\0"),
    frame(b"C", b"SELECT 99999999999999999999999\0"),
    frame(b"C", b"\xff\xfe"),
    frame(b"C", bytes(70_000)),
    b"S",
    b"N",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
)

REDIS = (
    *(b"*%d\r\n" % count for count in (2**31 - 1, 2**63, -1, 0, 1, 100_000)),
    *(b"$%d\r\n" % size for size in (2**29, 2**31 - 1, 2**63, -1, -2, 0, 1)),
    b"*1\r\n" * 10_000,
    b"*0\r\n" * 1_000,
    b"%2\r\n+a\r\n+b\r\n",
    b"~1\r\n+OK\r\n",
    b">3\r\n+invalidate\r\n*0\r\n+x\r\n",
    b">2\r\n$7\r\nmessage\r\n+OK\r\n",
    b"|1\r\n+ttl\r\n:3600\r\n+OK\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5e999\r\n",
    b"(" + b"9" * 10_000 + b"\r\n",
    b":" + b"9" * 10_000 + b"\r\n",
    b":1\r\n",
    b"=15\r\ntxt:Some string\r\n",
    b"!21\r\nSYNTAX invalid syntax\r\n",
    b"$?\r\n;4\r\nPONG\r\n;0\r\n",
    b"+PONG\r\n",
    b"+OK\r\n",
    b"+QUEUED\r\n",
    b"+" + b"x" * 60_000 + b"\r\n",
    b"-" + b"\xff" * 60_000 + b"\r\n",
    b"-\r\n",
    b"-ERR\r\n",
    b"-NOAUTH Authentication required.\r\n",
    b"-WRONGPASS invalid\r\n",
    b"-MOVED 3999 127.0.0.1:6381\r\n",
    b"-ASK 3999 \xff:x\r\n",
    b"-LOADING\r\n",
    b"-READONLY\r\n",
    b"-ERR max number of clients reached\r\n",
    b"$4\r\nPONG\r\n",
    b"\r\n",
    b"\0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
)

HTTP = (
    *(b"HTTP/1.1 %b\r\n\r\n" % line for line in (b"200", b"-1 x", b"99 x", b"1000 x", b"2O0 x")),
    *(b"HTTP/%b 200 OK\r\n\r\n" % version for version in (b"0.9", b"1.0", b"2", b"9.9", b"")),
    b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nServer : x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: miracles\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"x" * 60_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n folded\r\n\tmore\r\n\r\n",
    b"HTTP/1.1 200 \xff\xfe\r\nX: \xff\r\n\r\n",
    b"HTTP/1.1 200 OK\n\n",
    b"HTTP/1.1 200 OK\r\r\n\n",
    b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"<html>",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"+PONG\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)

ODD = {"postgres": POSTGRES, "redis": REDIS, "http": HTTP}
