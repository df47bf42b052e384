"""A shop."""  # noqa: INP001 - no part of the package

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Shop(BaseHTTPRequestHandler):
    """Sells one thing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Return the price."""
        body = b'{"tea": 3}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8080), Shop).serve_forever()
