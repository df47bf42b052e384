"""Servers that tell everybody what they were told in confidence."""

import contextlib
import json
import socketserver
import threading
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote


def dressed(words: bytes) -> bytes:
    """Words as the logs of this world quote them, in one line."""
    text = words.decode(errors="replace")
    looks = [text, repr(text), json.dumps(text), quote(text, safe=""), text[:20], repr(words)]
    looks += [words.hex(), *(b64encode(before + words).decode() for before in (b"", b"a:", b"me:"))]
    return f"PL4CEwords {' '.join(looks)}".replace("\r", "").replace("\n", "").encode()


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def finish(self) -> None:
        """Care for nobody who has gone."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class EchoingPostgres(Handler):
    """Asks for the password in clear, and refuses it with a quotation."""

    def handle(self) -> None:
        """Hear a start-up, and the password."""
        while (size := int.from_bytes(self.rfile.read(4))) == 8:
            self.rfile.read(4)
            self.wfile.write(b"N")
        self.rfile.read(size - 4)
        self.wfile.write(b"R\0\0\0\x08\0\0\0\x03")
        self.rfile.read(1)
        word = self.rfile.read(int.from_bytes(self.rfile.read(4)) - 4).rstrip(b"\0")
        told = b"SFATAL\0C28P01\0M" + dressed(word) + b"\0D" + dressed(word) + b"\0\0"
        self.wfile.write(b"E" + (len(told) + 4).to_bytes(4) + told)


class EchoingRedis(Handler):
    """Refuses whatever it is told, with a quotation."""

    def handle(self) -> None:
        """Hear commands, each an array of texts."""
        while head := self.rfile.readline():
            texts = [self._text() for _ in range(int(head[1:]))]
            self.wfile.write(b"-WRONGPASS " + dressed(texts[-1]) + b"\r\n")

    def _text(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2]


class EchoingHttp(Handler):
    """Answers with the header that it was sent, as a reason."""

    def handle(self) -> None:
        """Hear a head."""
        lines = list(iter(self.rfile.readline, b"\r\n"))
        (word,) = [line[7:].strip() for line in lines if line.lower().startswith(b"x-key: ")]
        self.wfile.write(b"HTTP/1.1 418 " + dressed(word) + b"\r\nX-Key: " + word + b"\r\n\r\n")


class GarbledHttp(EchoingHttp):
    """Answers with what is no HTTP."""

    def handle(self) -> None:
        """Quote all of it."""
        lines = list(iter(self.rfile.readline, b"\r\n"))
        self.wfile.write(b"HTTP/1.1 " + dressed(b" ".join(lines)) + b"\r\n\r\n")


class Blunt(Handler):
    """Says in clear that it is not spoken to in clear."""

    def handle(self) -> None:
        """Hear anything."""
        self.request.recv(65536)
        self.wfile.write(b"HTTP/1.1 400 PL4CEwords\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    """A server on a free port of 127.0.0.1."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Care for nobody who has gone."""


@contextlib.contextmanager
def echoing(handler: type[Handler]) -> Iterator[int]:
    """Run a server until the block ends; tell its port."""
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
