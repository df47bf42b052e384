"""A server that sends a script of bytes."""

import contextlib
import json
import ssl
import threading
from collections.abc import Iterable, Iterator
from socketserver import StreamRequestHandler

from tests.support.tcp_server import tcp_server


@contextlib.contextmanager
def scripted_server(
    script: Iterable[bytes] = (), pause: float = 0, certificate: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Answer each connection with these bytes, then keep it open. Yield the port."""
    over = threading.Event()

    def serve(client: StreamRequestHandler) -> None:
        plain = client.request
        with certificate.wrap_socket(plain, server_side=True) if certificate else plain as peer:
            peer.recv(65536)
            for part in script:
                peer.sendall(part)
                if over.wait(pause):
                    return
            over.wait()

    with tcp_server(serve) as port:
        try:
            yield port
        finally:
            over.set()


def answer(code: int, body: object, *headers: str) -> bytes:
    """Return an HTTP response. A body that is no text is sent as JSON."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {code} Code", f"Content-Length: {len(content)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
