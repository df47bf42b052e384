"""A server that says what it is told to say, and not what a client would like to hear."""

import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def speaker(
    words: Iterable[bytes] = (), pause: float = 0, certificate: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Answer each request with these words, and then hold the connection; the port."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection = self.request
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                if certificate:
                    connection = certificate.wrap_socket(connection, server_side=True)
                    stack.enter_context(connection)
                connection.recv(65536)
                for word in words:
                    connection.sendall(word)
                    if over.wait(pause):
                        return
                over.wait()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        try:
            yield server.server_address[1]
        finally:
            over.set()
            server.shutdown()


def answer(code: int, body: object, *headers: str) -> bytes:
    """An answer as HTTP has it; text stays as it is, everything else is JSON."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {code} Code", f"Content-Length: {len(content)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
