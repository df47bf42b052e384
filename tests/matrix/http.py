"""What befalls an HTTP service."""

import contextlib
from collections.abc import Iterator

from tests.matrix import network
from tests.matrix.row import Fault, Row, Scene
from tests.matrix.stage import Stage
from tests.probes.http_server import OK, Answer, goes_on, hangs_up, says


def answering(answer: Answer) -> Fault:
    """Have the service answer so."""

    @contextlib.contextmanager
    def broken(stage: Stage) -> Iterator[None]:
        before, stage.http.answer = stage.http.answer, answer
        try:
            yield
        finally:
            stage.http.answer = before

    return broken


def showing(kind: str) -> Fault:
    """Have the service show a certificate of this kind."""

    @contextlib.contextmanager
    def broken(stage: Stage) -> Iterator[None]:
        stage.show(kind)
        try:
            yield
        finally:
            stage.show("good")

    return broken


SECURE = Scene(
    environ=lambda stage: {
        **stage.reaching("http", stage.https.port, host="localhost", scheme="https"),
        "SSL_CERT_FILE": str(stage.certificates.root),
    }
)

ANSWERS: tuple[tuple[str, Answer, str | None], ...] = (
    ("status 500", says(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"), "http_status"),
    ("redirect", says(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n"), "http_status"),
    ("header that does not end in time", says(b"HTTP/1.1 200 OK\r\nX-Slow: "), "timeout"),
    ("endless headers", goes_on(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 100), "protocol"),
    ("not an HTTP answer", says(b"220 mail.test ESMTP\r\n"), "protocol"),
    ("hung up without an answer", hangs_up(b""), "disconnected"),
    ("endless body", goes_on(OK, bytes(65536)), None),
)

ROWS = (
    *network.rows("http", network.named("http")),
    *(Row("http", name, answering(answer), reason) for name, answer, reason in ANSWERS),
    Row("http", "certificate expired", showing("expired"), "tls", scene=SECURE),
    Row("http", "certificate of another name", showing("misnamed"), "tls", scene=SECURE),
    Row("http", "certificate of an unknown authority", showing("untrusted"), "tls", scene=SECURE),
)
