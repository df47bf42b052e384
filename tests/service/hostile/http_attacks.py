"""Responses of hostile HTTP services, and unusual but valid responses."""

from app.health import Reason
from tests.service.hostile.client import (
    Attack,
    Client,
    attack,
    byte_by_byte,
    endless,
    hang_up,
    script,
    send_total,
    trickle,
)


OK = b"HTTP/1.1 200 OK\r\n"


async def read_request(client: Client) -> None:
    """Read a request."""
    await client.read_until(b"\r\n\r\n")


def head(*lines: bytes) -> bytes:
    """Return a status line and headers."""
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


honest = script(read_request, head(b"Content-Length: 2") + b"ok")

COOKIE = b"Set-Cookie: name=" + b"x" * 1000

# curl 7.88 and urllib accept each of these as a 200. test_dependencies.py verifies the latter.
UNUSUAL: dict[str, bytes] = {
    "two lengths that are equal": head(b"Content-Length: 2", b"Content-Length: 2"),
    "a blank before the colon": head(b"Server : x"),
    "an unusual encoding": head(b"Transfer-Encoding: gzip, chunked"),
    "an identity encoding": head(b"Transfer-Encoding: identity"),
    "20 KB of cookies": head(*[COOKIE] * 20),
    "a header of 30 KB": head(b"X-Long: " + b"x" * 30_000),
    "a folded header": head(b"X-Folded: a", b" b", b"\tc"),
    "lines that end with LF": head(b"Server: x").replace(b"\r\n", b"\n"),
    "no reason phrase": b"HTTP/1.1 200\r\n\r\n",
    "no reason phrase after a blank": b"HTTP/1.1 200 \r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "a header without a colon": head(b"Server: x", b"nonsense"),
    "a header without a name": head(b"Server: x", b": value"),
    "a header in Latin-1": head(b"X-Place: Z\xfcrich", b"X-\xfc: a"),
    "a reason phrase in Latin-1": b"HTTP/1.1 200 Tr\xe8s bien\r\n\r\n",
    "a control character in a header": head(b"X-Bell: \x07"),
    "ninety headers": head(*[b"X-Small: x"] * 90),
    "a length that is none": head(b"Content-Length: two"),
    "length and chunks": head(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    "103 before": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + head(),
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + head(),
}

LINES = (
    b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 2x0", b"HTTP/1.1 -200", b"HTTP/1.1 +20",
    b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/9", b"HTTP/9 200 OK", b"HTTP/ 200 OK",
    b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK", b"HTTP/1.1 099 No", b"HTTP/1.1 000 No",
    b"HTTP/1.1 2 0 0", b"HTTP/1.1 1e2 OK", b"ICY 200 OK", b"HTTP /1.1 200 OK", b"http/1.1 200 OK",
    b" HTTP/1.1 200 OK", b"200 OK", b"HTTP/1.1200 OK", b"HTTP/1.1 200OK", b"\0\0\0\0\0\0",
    b"SSH-2.0-OpenSSH_9.2", b"220 mail.example.com ESMTP", b"+OK ready", b"-ERR unknown command",
)  # fmt: skip

HTTP: dict[str, Attack] = {
    **{
        name: attack(read_request, answer, hang_up, reason=None, passes=2)
        for name, answer in UNUSUAL.items()
    },
    "honest": attack(honest, hang_up, reason=None, passes=2),
    "honest, a byte at a time": attack(byte_by_byte(honest), hang_up, reason=None, passes=2),
    "a body of a gigabyte": attack(read_request, head(), send_total(2**30), reason=None, passes=3),
    "a body of unknown length": attack(read_request, head(), endless(b"x"), reason=None, passes=3),
    "a length of a gigabyte": attack(
        read_request, head(b"Content-Length: 1073741824"), reason=None
    ),
    **{f"status line {line!r}": attack(read_request, line + b"\r\n\r\n") for line in LINES},
    "a head of 70 KB": attack(read_request, head(*[COOKIE] * 70)),
    "a status line of 70 KB": attack(read_request, b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n"),
    "a head without an end": attack(read_request, OK, endless(b"X-More: x\r\n")),
    "a header without an end": attack(read_request, OK, b"X: ", endless(b"x")),
    "a status line without an end": attack(read_request, OK[:-2], endless(b"x")),
    "a head that trickles": attack(read_request, OK, trickle(b"x"), reason=Reason.TIMEOUT),
    "100 without an end": attack(read_request, endless(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "103 without an end": attack(
        read_request, endless(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n")
    ),
    "100 that trickle": attack(read_request, trickle(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "line ends": attack(read_request, b"\n" * 65_536),
    "line ends without an end": attack(read_request, endless(b"\r\n")),
    "NULs without an end": attack(read_request, endless(bytes(100))),
    "a greeting without an end": attack(endless(b"220 hello\r\n")),
    "another status": attack(read_request, b"HTTP/1.1 503 No\r\n\r\n", reason=Reason.HTTP_STATUS),
    "switching protocols": attack(
        read_request, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"
    ),
    "an alert of TLS": attack(read_request, b"\x15\x03\x01\0\x02\x02\x0a", hang_up),
    "half a head": attack(read_request, OK, reason=Reason.TIMEOUT),
    "half a head and its end": attack(read_request, OK, hang_up, reason=Reason.DISCONNECTED),
    "an end": attack(read_request, hang_up, reason=Reason.DISCONNECTED),
}
