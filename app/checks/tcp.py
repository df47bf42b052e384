"""The check of a TCP port: it accepts a connection, and with `tls://` a verified handshake."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator

from app.checks.connection import BoundedConnection
from app.checks.kind import CheckSpec, Kind, Resources, TlsOptions
from app.checks.network import Dialer, explain_network
from app.checks.tls import TrustStore
from app.checks.urls import ensure, split_url
from app.health import Facts, Reason


SCHEMES = ("tcp", "tls")
FORM = "must have the form tcp://host:port or tls://host:port. Correct it."


def parse_tcp_url(text: str) -> str:
    """Return a valid URL, or raise a ValueError with the remedy."""
    parts = split_url(text, FORM)
    has_more = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    ensure(parts.scheme in SCHEMES and parts.port and not has_more, FORM)
    return text


class TcpOptions(TlsOptions):
    """The options of a TCP check."""

    url: Annotated[str, AfterValidator(parse_tcp_url)] = ""


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connects, does a verified handshake if it uses TLS, and closes the connection.

    Attributes:
        host: the host that the certificate must name.
        trust: the servers to trust; None without TLS.
    """

    dialer: Dialer
    host: str
    trust: TrustStore | None

    async def __call__(self) -> None:
        """Connect.

        Raises:
            OSError, EOFError: the network or TLS (`ssl.SSLError`) failed.
        """
        self.dialer.timeout_reason = Reason.TIMEOUT
        context = await self.trust.context() if self.trust else None
        connection = await BoundedConnection.open(self.dialer)
        try:
            if context:
                await connection.start_tls(context, self.host)
                await connection.end_tls()
        finally:
            connection.abort()

    def facts(self) -> Facts:
        """Return when the server's certificate expires."""
        return Facts(certificate=self.dialer.certificate)

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        return explain_network(error, self.dialer)


@asynccontextmanager
async def open_tcp(spec: CheckSpec[TcpOptions], resources: Resources) -> AsyncIterator[TcpProbe]:
    """Provide a probe of a TCP port."""
    url = split_url(spec.options.url, FORM)
    host = unquote(url.hostname or "")
    yield TcpProbe(Dialer(host, url.port or 0), host, spec.options.trust(resources.trust))


KIND = Kind("tcp", SCHEMES, TcpOptions, open_tcp)
