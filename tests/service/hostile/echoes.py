"""Servers that echo a client's secrets in their answers, as handlers of `tcp_server`."""

import json
from base64 import b64encode
from socketserver import StreamRequestHandler
from urllib.parse import quote

from tests.service.hostile.postgres_server import authentication, error


def encoded_forms(secret: bytes) -> bytes:
    """Return a line with a secret in the encodings that logs use."""
    text = secret.decode(errors="replace")
    forms = [text, repr(text), json.dumps(text), quote(text, safe=""), text[:20], repr(secret)]
    forms += [secret.hex(), *(b64encode(one + secret).decode() for one in (b"", b"a:", b"me:"))]
    return f"PL4CEwords {' '.join(forms)}".replace("\r", "").replace("\n", "").encode()


def echo_postgres(client: StreamRequestHandler) -> None:
    """Ask for the password in clear text, and echo it in the refusal."""
    while (size := int.from_bytes(client.rfile.read(4))) == 8:
        client.rfile.read(4)
        client.wfile.write(b"N")
    client.rfile.read(size - 4)
    client.wfile.write(authentication(3))
    client.rfile.read(1)
    secret = client.rfile.read(int.from_bytes(client.rfile.read(4)) - 4).rstrip(b"\0")
    echo = encoded_forms(secret)
    client.wfile.write(error(b"28P01", echo + b"\0D" + echo))


def echo_redis(client: StreamRequestHandler) -> None:
    """Refuse every command, and echo its last argument."""
    while head := client.rfile.readline():
        for _ in range(int(head[1:])):
            size = int(client.rfile.readline()[1:])
            argument = client.rfile.read(size + 2)[:-2]
        client.wfile.write(b"-WRONGPASS " + encoded_forms(argument) + b"\r\n")


def echo_http(client: StreamRequestHandler) -> None:
    """Echo a secret header in the reason phrase and in a header."""
    lines = list(iter(client.rfile.readline, b"\r\n"))
    (secret,) = [line[7:].strip() for line in lines if line.lower().startswith(b"x-key: ")]
    echo = encoded_forms(secret)
    client.wfile.write(b"HTTP/1.1 418 " + echo + b"\r\nX-Key: " + secret + b"\r\n\r\n")


def echo_garbled(client: StreamRequestHandler) -> None:
    """Echo the request in a response that is not valid HTTP."""
    lines = list(iter(client.rfile.readline, b"\r\n"))
    client.wfile.write(b"HTTP/1.1 " + encoded_forms(b" ".join(lines)) + b"\r\n\r\n")


def plain_text_only(client: StreamRequestHandler) -> None:
    """Answer a TLS handshake in plain text."""
    client.request.recv(65536)
    client.wfile.write(b"HTTP/1.1 400 PL4CEwords\r\n\r\n")
