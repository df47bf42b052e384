"""Faults of an HTTP service."""

import contextlib
from collections.abc import Iterator
from functools import partial
from unittest import mock

from tests.chaos import network
from tests.chaos.row import Fault, Row, Setup
from tests.chaos.stage import Environment
from tests.unit.checks.http_server import OK, Answer, goes_on, hangs_up, says


def answering(answer: Answer) -> Fault:
    """Return a fault in which the service sends this answer."""
    return lambda environment: mock.patch.object(environment.http, "answer", answer)


def presenting(kind: str) -> Fault:
    """Return a fault in which the service presents a certificate of this kind."""

    @contextlib.contextmanager
    def fault(environment: Environment) -> Iterator[None]:
        environment.use_certificate(kind)
        try:
            yield
        finally:
            environment.use_certificate("good")

    return fault


HTTPS = Setup(
    environ=lambda environment: {
        **environment.check_url("http", environment.https.port, host="localhost", scheme="https"),
        "SSL_CERT_FILE": str(environment.certificates.root),
    }
)

ANSWERS: tuple[tuple[str, Answer, str | None], ...] = (
    ("status 500", says(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"), "http_status"),
    ("redirect", says(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n"), "http_status"),
    ("headers not complete in time", says(b"HTTP/1.1 200 OK\r\nX-Slow: "), "timeout"),
    ("endless headers", goes_on(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 100), "protocol"),
    ("not an HTTP answer", says(b"220 mail.test ESMTP\r\n"), "protocol"),
    ("closed without an answer", hangs_up(b""), "disconnected"),
    ("endless body", goes_on(OK, bytes(65536)), None),
)
CERTIFICATES = (
    ("certificate expired", "expired"),
    ("certificate for another name", "misnamed"),
    ("certificate from an unknown authority", "untrusted"),
)

row = partial(Row, "http")
ROWS = (
    *network.rows("http"),
    *(row(name, answering(answer), reason) for name, answer, reason in ANSWERS),
    *(row(name, presenting(kind), "tls", setup=HTTPS) for name, kind in CERTIFICATES),
)
