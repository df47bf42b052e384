"""How a PostgreSQL is reached, and what its errors mean."""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import make_url

from app.checks.connection import BoundedConnection
from app.checks.errors import PlainAnswerError, ProtocolError, UnansweredError
from app.checks.network import Dialer, Stage, enter_stage
from app.checks.postgres_driver import AsyncpgLoop, AsyncpgTransport
from app.checks.postgres_errors import explain_postgres
from app.checks.postgres_protocol import PostgresLogin, ServerError
from app.checks.scram import KeyDerivation
from app.checks.session import SessionOpener
from app.checks.tls import TrustStore
from app.health import Reason


@dataclass(frozen=True, slots=True)
class TlsAttempt:
    """One way to connect.

    Attributes:
        trust: the servers to trust; None: no TLS is asked for.
        demands: whether TLS is a must, and a server that has none is refused.

    """

    trust: TrustStore | None
    demands: bool = False


def ways(mode: str | None, root: str | None) -> list[TlsAttempt]:
    """Return the ways that `sslmode` and `sslrootcert` allow, in the order of libpq.

    Without a root file the system's authorities are trusted. Files in the home directory are not
    read.

    https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
    """
    if mode == "disable":
        return [TlsAttempt(None)]
    if mode in {"verify-ca", "verify-full"} or (mode == "require" and root):
        return [TlsAttempt(TrustStore(root, check_hostname=mode == "verify-full"), demands=True)]
    unverified = TrustStore(verify=False)
    if mode == "require":
        return [TlsAttempt(unverified, demands=True)]
    if mode == "allow":
        return [TlsAttempt(None), TlsAttempt(unverified)]
    return [TlsAttempt(unverified), TlsAttempt(None)]


def should_try_next(error: BaseException) -> bool:
    """Return whether a server may accept with TLS what it refuses without, or the reverse."""
    return isinstance(error, ssl.SSLError) or getattr(error, "sqlstate", "") == "28000"


# How a session introduces itself in pg_stat_activity and in the server's log.
APPLICATION_NAME = "vitals"

# https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


@dataclass(frozen=True, slots=True)
class PostgresConnection:
    """asyncpg's connection, its transport, and the wire below."""

    driver: Any
    transport: AsyncpgTransport
    wire: BoundedConnection

    def abort(self) -> None:
        """Cut the connection."""
        self.driver.terminate()


def _session_starts() -> SessionOpener[PostgresConnection]:
    return SessionOpener(time.monotonic, PostgresConnection.abort)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL, as a URL names it.

    Attributes:
        host: whom the certificate must speak for.
        ways: with TLS and without, in the order in which they are tried.
        user: who connects.
        database: what to connect to.

    """

    dialer: Dialer
    host: str
    ways: Sequence[TlsAttempt]
    user: str
    database: str
    derive: KeyDerivation = field(default_factory=KeyDerivation)
    starts: SessionOpener[PostgresConnection] = field(default_factory=_session_starts)

    @classmethod
    def of(cls, url: str) -> "PostgresServer":
        """Read a URL."""
        target = make_url(url)
        query = {key: str(value) for key, value in target.query.items()}
        folder = query.get("host", "")
        host, port, user = target.host or "localhost", target.port or 5432, target.username or ""
        return cls(
            dialer=Dialer(f"{folder}/.s.PGSQL.{port}" if folder else host, port),
            host=host,
            # As libpq does: no one can listen in on a socket of the same machine.
            ways=[TlsAttempt(None)]
            if folder
            else ways(query.get("sslmode"), query.get("sslrootcert")),
            user=user,
            database=target.database or user,
        )

    async def connect(self, password: str) -> PostgresConnection:
        """Connect, in another way where the server may have refused the one before as such.

        Raises:
            ServerError: the server refuses.
            ProtocolError: it is no PostgreSQL, or asks for a password in an unknown way.
            OSError, EOFError: it can't be reached, or not with TLS (`ssl.SSLError`).

        """
        self.starts.prepare()
        *others, last = self.ways
        for way in others:
            try:
                return await self._connect(password, way)
            except (ServerError, ssl.SSLError) as error:
                if not should_try_next(error):
                    raise
        return await self._connect(password, last)

    async def _connect(self, password: str, way: TlsAttempt) -> PostgresConnection:
        wire = await BoundedConnection.open(self.dialer)
        if self.starts.has_room(wire):
            self.starts.begin(wire, self._start(wire, password, way))
        else:
            wire.abort()
        return await self.starts.first()

    async def _start(
        self, wire: BoundedConnection, password: str, way: TlsAttempt
    ) -> PostgresConnection:
        try:
            await self._encrypt(wire, way)
            loop = AsyncpgLoop(wire, PostgresLogin(self.user, password, self.derive))
            driver = await asyncpg.connect(**self._arguments(loop))
        except BaseException:
            wire.abort()
            raise
        assert loop.transport  # noqa: S101 - it has connected
        return PostgresConnection(driver, loop.transport, wire)

    async def _encrypt(self, wire: BoundedConnection, way: TlsAttempt) -> None:
        if way.trust is None:
            return
        enter_stage(Stage.TLS if way.demands else Stage.AUTHENTICATION)
        wire.write(SSL_REQUEST)
        try:
            answer = await wire.read(1)
        except UnansweredError as error:
            raise EOFError(error) from None  # it was asked for TLS, and did not expect it first
        if answer == b"S":
            await wire.start_tls(await way.trust.context(), self.host)
        elif answer not in {b"N", b"E"}:
            msg = "no answer to the request for TLS"
            raise ProtocolError(msg)
        elif answer == b"E" or way.demands:
            msg = "the server does not speak TLS"
            raise PlainAnswerError(msg)

    def _arguments(self, loop: AsyncpgLoop) -> Mapping[str, Any]:
        """Return what asyncpg is given: all that it would look for in the environment, too."""
        return {
            "loop": loop,
            "host": "localhost",  # the wire is connected already
            "port": 5432,
            "user": self.user,
            "password": "",  # the login has proven it
            "database": self.database,
            "server_settings": {"application_name": APPLICATION_NAME},
            "timeout": None,  # the deadline is the monitor's
            "ssl": False,
            "direct_tls": False,
            "target_session_attrs": "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
        }

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed, and note in the error what its text does not say."""
        if isinstance(error, TimeoutError) and (hint := self.starts.describe()):
            error.add_note(hint)
        return explain_postgres(error, self.dialer)
