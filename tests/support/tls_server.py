"""An HTTPS server in a thread, whose certificate a test replaces."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with 200."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class TlsServer(ThreadingHTTPServer):
    """Serves while the block runs, on a port of 127.0.0.1.

    Args:
        file: the certificate and its key, as PEM.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.use(file)
        self.socket = self._context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def use(self, file: Path) -> None:
        """Use another certificate from the next connection on."""
        self._context.load_cert_chain(file)

    def handle_error(self, *_: Any) -> None:
        """Ignore it: a client that refuses the certificate ends the connection."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
