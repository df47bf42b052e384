"""An HTTP check with a header whose value comes from a secret."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.devservers import Valkey
from tests.support.service import on, running


BOUND = 0.2 + 0.4 + 0.5


class ObjectStore(BaseHTTPRequestHandler):
    """An object store that requires a key."""

    key = "Bearer the key"

    def do_GET(self) -> None:
        """Answer 200 if the request has the key, else 403."""
        authorized = self.headers["Authorization"] == type(self).key
        self.send_response(200 if authorized and self.path == "/minio/health/cluster" else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(name="store")
def _store() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ObjectStore) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_http_check_follows_its_secret(store: int, valkey: Valkey, tmp_path: Path) -> None:
    """The check reports the HTTP status as its reason, and reads a changed key again."""
    secret, another = tmp_path / "stack_auth_secret", tmp_path / "another"
    secret.write_text("the key\n")
    another.write_text("another")
    check = {
        "url": f"http://127.0.0.1:{store}/minio/health/cluster",
        "headers": {"Authorization": "Bearer secret:stack_auth_secret"},
        "interval": 0.1,
    }
    environ = on(None, valkey) | {
        "HTTP_CHECKS": json.dumps({"minio": check}),
        "SECRETS_DIR": str(tmp_path),
        "OPTIONAL_CHECKS": "minio",
    }
    with running(environ, tmp_path / "log") as service:
        service.until("minio", None, 5)
        service.until("redis", None, 5)
        another.replace(secret)  # atomically, as an empty file would be another failure
        service.until("minio", "http_status", BOUND)
        assert service.ask("/health").json["status"] == "warn"
        assert service.ask("/health/checks/minio").code == 503
        secret.unlink()
        service.until("minio", "auth", BOUND)
        secret.write_text("the key")
        service.until("minio", None, BOUND)
    log = (tmp_path / "log").read_text()
    assert "got 403, expected 200" in log
    assert "the key" not in log
