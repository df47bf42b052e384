"""Servers that echo a client's secrets in their answers."""

import contextlib
import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote


def encoded_forms(secret: bytes) -> bytes:
    """Return a line with a secret in the encodings that logs use."""
    text = secret.decode(errors="replace")
    forms = [
        text,
        repr(text),
        json.dumps(text),
        quote(text, safe=""),
        text[:20],
        repr(secret),
    ]
    forms += [
        secret.hex(),
        *(b64encode(before + secret).decode() for before in (b"", b"a:", b"me:")),
    ]
    return f"PL4CEwords {' '.join(forms)}".replace("\r", "").replace("\n", "").encode()


class Handler(socketserver.StreamRequestHandler):
    """One connection; ignores a client that has gone."""

    def finish(self) -> None:
        """Flush the output, if the client is still there."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class EchoingPostgres(Handler):
    """Asks for the password in clear text, and echoes it in the refusal."""

    def handle(self) -> None:
        """Read the startup message and the password, and refuse."""
        while (size := int.from_bytes(self.rfile.read(4))) == 8:
            self.rfile.read(4)
            self.wfile.write(b"N")
        self.rfile.read(size - 4)
        self.wfile.write(b"R\0\0\0\x08\0\0\0\x03")
        self.rfile.read(1)
        secret = self.rfile.read(int.from_bytes(self.rfile.read(4)) - 4).rstrip(b"\0")
        echo = encoded_forms(secret)
        fields = b"SFATAL\0C28P01\0M" + echo + b"\0D" + echo + b"\0\0"
        self.wfile.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)


class EchoingRedis(Handler):
    """Refuses every command, and echoes its last argument."""

    def handle(self) -> None:
        """Read commands, which are arrays of strings, and refuse each."""
        while head := self.rfile.readline():
            arguments = [self._read_string() for _ in range(int(head[1:]))]
            self.wfile.write(b"-WRONGPASS " + encoded_forms(arguments[-1]) + b"\r\n")

    def _read_string(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2]


class EchoingHttp(Handler):
    """Echoes a secret header in the reason phrase and in a header."""

    def handle(self) -> None:
        """Read the request headers, and answer."""
        lines = list(iter(self.rfile.readline, b"\r\n"))
        (secret,) = [line[7:].strip() for line in lines if line.lower().startswith(b"x-key: ")]
        echo = encoded_forms(secret)
        self.wfile.write(b"HTTP/1.1 418 " + echo + b"\r\nX-Key: " + secret + b"\r\n\r\n")


class GarbledHttp(EchoingHttp):
    """Echoes the request in a response that is not valid HTTP."""

    def handle(self) -> None:
        """Read the request headers, and answer."""
        lines = list(iter(self.rfile.readline, b"\r\n"))
        self.wfile.write(b"HTTP/1.1 " + encoded_forms(b" ".join(lines)) + b"\r\n\r\n")


class PlainTextOnly(Handler):
    """Answers a TLS handshake in plain text."""

    def handle(self) -> None:
        """Read the start of the handshake, and answer."""
        self.request.recv(65536)
        self.wfile.write(b"HTTP/1.1 400 PL4CEwords\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    """A server on a free port of 127.0.0.1."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore a client that has gone."""


@contextlib.contextmanager
def echoing(handler: type[Handler]) -> Iterator[int]:
    """Run a server for the block, and return its port."""
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
