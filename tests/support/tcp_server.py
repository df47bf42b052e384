"""A TCP server in a thread, whose handler a test writes."""

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def tcp_server(handle: Callable[[socketserver.StreamRequestHandler], None]) -> Iterator[int]:
    """Handle each connection in a thread of its own, and yield the port.

    Args:
        handle: reads from `rfile`, writes to `wfile`, and fails silently if the client has gone.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                handle(self)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
