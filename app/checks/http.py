"""Whether an HTTP service can serve: asked over a new connection each time."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from app.checks.connection import BoundedConnection
from app.checks.errors import CredentialError, ProtocolError
from app.checks.network import BlockingCall, Dialer, Stage, enter_stage, explain_network
from app.checks.tls import TrustStore
from app.health import Reason


# How a probe introduces itself in the service's access log.
USER_AGENT = "vitals"

# Every answer begins so. What does not is refused before a whole line of it has come.
START = b"HTTP/"
STATUS_LINE = re.compile(rb"HTTP/1\.[0-9][ \t]+([1-9][0-9]{2})(?:[ \t].*)?\r?\n")

# The end of a head. What else the head holds is not judged: servers write it in many ways.
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
BLANK_LINE_OVERLAP = 3

# What no header may hold, https://www.rfc-editor.org/rfc/rfc9110#section-5.5
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

PORTS = {"http": 80, "https": 443}


class StatusError(Exception):
    """The service answered with another status than the expected one."""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Sends a GET and reads the head of the answer; the connection is cut before the body.

    It could be kept only by reading the body, which may have no end. A new one each time keeps
    name resolution, TLS and the secrets in the headers under watch, and can't have died idle.

    Attributes:
        request: writes the request, with the secrets as they are now.
        host: whom the certificate must speak for.
        trust: the servers to trust; None without TLS.

    """

    dialer: Dialer
    request: Callable[[], Awaitable[bytes]]
    expect: int
    host: str
    trust: TrustStore | None

    async def __call__(self) -> None:
        """Ask, and compare the status with the expected one; a redirect is an answer too."""
        self.dialer.waiting_for = Reason.TIMEOUT
        request = await self.request()
        context = await self.trust.context() if self.trust else None
        wire = await BoundedConnection.open(self.dialer)
        try:
            if context:
                await wire.start_tls(context, self.host)
            enter_stage(Stage.QUERY)
            wire.write(request)
            status = await _final_status(wire)
        finally:
            wire.abort()
        if status != self.expect:
            msg = f"HTTP status {status}"
            raise StatusError(msg)

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        return explain_http(error, self.dialer)


def explain_http(error: BaseException, dialer: Dialer) -> Reason:
    """Return the reason for an unexpected status, or for an error of the network."""
    if isinstance(error, StatusError):
        return Reason.HTTP_STATUS
    return explain_network(error, dialer)


async def _final_status(wire: BoundedConnection) -> int:
    """Return the status of the first answer that is not interim, such as 103 Early Hints."""
    status = HTTPStatus.CONTINUE.value
    while status < HTTPStatus.OK:
        status = await _status(wire)
    return status


async def _status(wire: BoundedConnection) -> int:
    wire.count()
    start = await wire.read(len(START))
    if start == START:
        head = start + await wire.read_until(BLANK_LINE, BLANK_LINE_OVERLAP)
        # Nothing was asked that could switch to another protocol.
        if (match := STATUS_LINE.match(head)) and match[1] != b"101":
            return int(match[1])
    # Without a word of the answer, which may echo a header of the request.
    msg = "not an HTTP answer"
    raise ProtocolError(msg)


def _request(url: SplitResult, headers: Callable[[], Mapping[str, str]]) -> bytes:
    own = {"Host": url.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        added = {name.title(): value for name, value in headers().items()}
    except Exception as error:
        raise CredentialError(error) from error
    if any(FORBIDDEN.search(value) for value in added.values()):
        msg = "a secret holds what no header may hold"
        raise CredentialError(msg)
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {text}" for name, text in (own | added).items())]
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def http(
    url: str,
    headers: Callable[[], Mapping[str, str]],
    *,
    expect: int,
    trust: TrustStore | None = None,
) -> AsyncIterator[HttpProbe]:
    """Make ready to ask an HTTP service; nothing is connected before the first question.

    Args:
        url: `http://` or `https://`, without credentials. Whom to trust is the system's to say,
            or that of `SSL_CERT_FILE` and `SSL_CERT_DIR`, which OpenSSL reads.
        headers: read at each question, so that a new secret needs no restart; they replace the
            probe's own.
        expect: the status of a service that can serve.
        trust: the servers to trust, for several checks; one holds the system's CAs, 0.8 MB.

    """
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    yield HttpProbe(
        dialer=Dialer(host, parts.port or PORTS[parts.scheme]),
        request=BlockingCall(partial(_request, parts, headers), "read headers"),
        expect=expect,
        host=host,
        trust=(trust or TrustStore()) if parts.scheme == "https" else None,
    )
