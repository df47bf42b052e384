"""Whether an HTTP service can serve: asked over a new connection each time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit

import h11

from app.health import Reason
from app.probes.blocking import Blocking
from app.probes.dialer import Dialer
from app.probes.reasons import CredentialError, by_class
from app.probes.steps import Step, begins
from app.probes.stream import open_stream


# How a probe introduces itself in the service's access log.
USER_AGENT = "vitals"

# Every answer begins so. What does not is told at once, before a whole line of it has come.
START = b"HTTP/"

# Answers that may come before the final one, such as 103 Early Hints.
MAX_INTERIM = 20

PORTS = {"http": 80, "https": 443}


class StatusError(Exception):
    """The service answered with another status than the expected one."""


ANSWERS: Mapping[type[BaseException], Reason] = {
    StatusError: Reason.HTTP_STATUS,
    h11.RemoteProtocolError: Reason.PROTOCOL,
}


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Puts a GET and hears the head of the answer; the connection is cut before the body.

    It could be kept only by reading the body, which may have no end. A new one each time keeps
    name resolution, TLS and the secrets in the headers under watch, and can't have died idle.

    Attributes:
        request: makes the request anew, with the secrets as they are.
        server_name: whom the certificate must speak for; None without TLS.

    """

    dialer: Dialer
    request: Callable[[], Awaitable[h11.Request]]
    expect: int
    context: ssl.SSLContext | None
    server_name: str | None

    async def __call__(self) -> None:
        """Ask, and compare the status with the expected one; a redirect is an answer too."""
        conversation = h11.Connection(h11.CLIENT)
        self.dialer.waiting_for = Reason.TIMEOUT
        question = conversation.send(await self.request()) or b""
        connected = await self.dialer.dial()
        reader, writer = await open_stream(connected, self.context, self.server_name)
        begins(Step.QUERY)
        try:
            writer.write(question)
            status = await _status(reader, conversation)
        except h11.RemoteProtocolError:
            msg = "not an HTTP answer"
            # In other words than h11's: they quote the answer, which may echo a header.
            raise h11.RemoteProtocolError(msg) from None
        finally:
            writer.transport.abort()
        if status != self.expect:
            msg = f"HTTP status {status}"
            raise StatusError(msg)

    def explain(self, error: BaseException) -> Reason:
        """Tell why an attempt failed."""
        return by_class(ANSWERS, error) or self.dialer.explain(error)


async def _status(reader: asyncio.StreamReader, conversation: h11.Connection) -> int:
    start = await reader.readexactly(len(START))
    if start == START:
        conversation.receive_data(start)
        for _ in range(MAX_INTERIM):
            event = await _event(reader, conversation)
            if isinstance(event, h11.Response):
                return event.status_code
    msg = "no final answer"
    raise h11.RemoteProtocolError(msg)


async def _event(reader: asyncio.StreamReader, conversation: h11.Connection) -> Any:
    """Hear one head; h11 gives up one that is longer than 16 KB."""
    while (event := conversation.next_event()) is h11.NEED_DATA:
        data = await reader.read(4096)
        if not data:
            msg = "closed before an answer"
            raise EOFError(msg)
        conversation.receive_data(data)
    return event


def _request(url: SplitResult, headers: Callable[[], Mapping[str, str]]) -> h11.Request:
    own = {"Host": url.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        added = {name.title(): value for name, value in headers().items()}
        sent = [(name.encode(), value.encode()) for name, value in {**own, **added}.items()]
        return h11.Request(method="GET", target=target, headers=sent)
    except h11.LocalProtocolError:
        msg = "a secret holds what no header may hold"
        raise CredentialError(msg) from None
    except Exception as error:
        raise CredentialError(error) from error


@asynccontextmanager
async def http(
    url: str, headers: Callable[[], Mapping[str, str]], *, expect: int
) -> AsyncIterator[HttpProbe]:
    """Make ready to ask an HTTP service; nothing is connected before the first question.

    Args:
        url: `http://` or `https://`, without credentials. Whom to trust is the system's to say,
            or that of `SSL_CERT_FILE` and `SSL_CERT_DIR`, which OpenSSL reads.
        headers: read at each question, so that a new secret needs no restart; they replace the
            probe's own.
        expect: the status of a service that can serve.

    """
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    secure = parts.scheme == "https"
    yield HttpProbe(
        dialer=Dialer(host, parts.port or PORTS[parts.scheme]),
        request=Blocking(partial(_request, parts, headers), "read headers"),
        expect=expect,
        context=ssl.create_default_context() if secure else None,
        server_name=host if secure else None,
    )
