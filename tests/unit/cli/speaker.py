"""A server that sends a script of bytes."""

import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def scripted_server(
    script: Iterable[bytes] = (), pause: float = 0, certificate: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Answer each connection with these bytes, then keep it open. Yield the port."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection = self.request
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                if certificate:
                    connection = certificate.wrap_socket(connection, server_side=True)
                    stack.enter_context(connection)
                connection.recv(65536)
                for part in script:
                    connection.sendall(part)
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
    """Return an HTTP response. A body that is no text is sent as JSON."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {code} Code", f"Content-Length: {len(content)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
