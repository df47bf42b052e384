"""Opening sessions with a PostgreSQL server, as its URL says."""

import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app.checks.connection import BoundedConnection
from app.checks.errors import (
    PLAIN_TEXT_REFUSED,
    ClientCertificateError,
    PlainAnswerError,
    ProtocolError,
    UnansweredError,
)
from app.checks.network import Dialer, Stage, enter_stage
from app.checks.postgres_driver import AsyncpgLoop, PostgresSession
from app.checks.postgres_errors import CERTIFICATE_REQUIRED, TLS_REQUIRED, explain_postgres
from app.checks.postgres_protocol import PostgresLogin, PostgresServerError
from app.checks.postgres_statement import Statement
from app.checks.postgres_url import TLS_FILES, PostgresTarget
from app.checks.scram import KeyDerivation
from app.checks.session import SessionOpener, SessionProbe
from app.checks.tls import TrustStore
from app.health import Facts, Reason


@dataclass(frozen=True, slots=True)
class TlsAttempt:
    """A way to connect: with TLS or without.

    Attributes:
        trust: the servers to trust; None connects without TLS.
        is_required: whether a server without TLS is refused.
    """

    trust: TrustStore | None
    is_required: bool = False


PLAIN_TEXT = (TlsAttempt(None),)


def tls_attempts(mode: str, files: Mapping[str, str], system: TrustStore) -> Sequence[TlsAttempt]:
    """Return what `sslmode` and the files allow, in the order in which libpq tries it.

    Without a root file the system's CAs are trusted. Unlike libpq, this reads no files in the home
    directory. *system* trusts the CAs of the system.

    https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
    """
    if mode == "disable":
        return PLAIN_TEXT
    if mode == "verify-full" and not files:
        return [TlsAttempt(system, is_required=True)]
    root, *client = map(files.get, TLS_FILES)
    if mode in {"verify-ca", "verify-full"} or (mode == "require" and root):
        trust = TrustStore(root, *client, check_hostname=mode == "verify-full")
        return [TlsAttempt(trust, is_required=True)]
    unverified = TrustStore(None, *client, verify=False)
    if mode == "require":
        return [TlsAttempt(unverified, is_required=True)]
    if mode == "allow":
        return [TlsAttempt(None), TlsAttempt(unverified)]
    return [TlsAttempt(unverified), TlsAttempt(None)]


def should_try_next(error: BaseException) -> bool:
    """Return whether the other TLS mode may succeed. Poolers have no SQLSTATE of their own."""
    if isinstance(error, PostgresServerError):
        return error.sqlstate == "28000" or any(text in error.text for text in TLS_REQUIRED)
    return isinstance(error, ssl.SSLError)


# The name of the session in pg_stat_activity and in the server's log.
APPLICATION_NAME = "vitals"

# https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server, and how to log in to it.

    Attributes:
        host: the host that the server's certificate must name.
        attempts: with TLS and without, in the order in which they are tried.
        statement: what each session runs; None if connecting is all that is checked.
    """

    dialer: Dialer
    host: str
    attempts: Sequence[TlsAttempt]
    user: str
    database: str
    statement: Statement | None
    derive: KeyDerivation = field(default_factory=KeyDerivation)
    opener: SessionOpener[PostgresSession] = field(
        default_factory=lambda: SessionOpener(time.monotonic, PostgresSession.terminate)
    )

    @classmethod
    def of_target(
        cls,
        target: PostgresTarget,
        make_statement: Callable[[], Statement | None],
        system: TrustStore,
    ) -> "Iterator[PostgresServer]":
        """Yield the servers that a URL names, each with a statement of its own."""
        encrypted = tls_attempts(target.ssl_mode, target.tls_files, system)
        for host, port in target.hosts:
            # Without TLS, like libpq: no one can intercept a Unix socket.
            is_folder = host.startswith("/")
            yield cls(
                dialer=Dialer(f"{host}/.s.PGSQL.{port}") if is_folder else Dialer(host, port),
                host=host,
                attempts=PLAIN_TEXT if is_folder else encrypted,
                user=target.user,
                database=target.database,
                statement=make_statement(),
            )

    async def open_session(self, password: str) -> PostgresSession:
        """Connect and log in, with TLS or without, as `sslmode` allows.

        Raises:
            PostgresServerError: the server refuses.
            ProtocolError: it is not PostgreSQL, or asks for an unknown authentication method.
            OSError, EOFError: the network or TLS (`ssl.SSLError`) failed.
        """
        self.opener.discard_stale()
        *others, last = self.attempts
        for attempt in others:
            try:
                return await self._connect(password, attempt)
            except (PostgresServerError, ssl.SSLError) as error:
                if not should_try_next(error):
                    raise
        return await self._connect(password, last)

    async def _connect(self, password: str, attempt: TlsAttempt) -> PostgresSession:
        connection = await BoundedConnection.open(self.dialer)
        connection.enable_keepalive()
        if self.opener.may_start(connection):
            self.opener.start(connection, self._log_in(connection, password, attempt))
        else:
            connection.abort()
        return await self.opener.wait_first()

    async def _log_in(
        self, connection: BoundedConnection, password: str, attempt: TlsAttempt
    ) -> PostgresSession:
        try:
            if attempt.trust:
                await self._start_tls(connection, attempt.trust, is_required=attempt.is_required)
            loop = AsyncpgLoop(connection, PostgresLogin(self.user, password, self.derive))
            driver = await asyncpg.connect(**self._arguments(loop))
        except BaseException as error:
            connection.abort()
            if isinstance(error, PostgresServerError):
                self._interpret(error)
            raise
        assert loop.transport  # noqa: S101 - asyncpg has connected
        return PostgresSession(driver, loop.transport, self.statement)

    def _interpret(self, error: PostgresServerError) -> None:
        """Add what the text of a refusal says about TLS: it has the SQLSTATE of many others.

        Raises:
            ClientCertificateError: the server requires one.
        """
        if CERTIFICATE_REQUIRED in error.text:
            raise ClientCertificateError(0, str(error)) from error
        if self.attempts == PLAIN_TEXT and any(text in error.text for text in TLS_REQUIRED):
            error.add_note(PLAIN_TEXT_REFUSED)

    async def _start_tls(
        self, connection: BoundedConnection, trust: TrustStore, *, is_required: bool
    ) -> None:
        enter_stage(Stage.TLS if is_required else Stage.AUTHENTICATION)
        connection.write(SSL_REQUEST)
        try:
            answer = await connection.read(1)
        except UnansweredError as error:
            # The request offered TLS, so the server did not close because it expects TLS.
            raise EOFError(error) from None
        if answer == b"S":
            context = await trust.context()
            if connection.has_unread:
                raise ProtocolError("sent plain text after it agreed to TLS")
            await connection.start_tls(context, self.host)
        elif answer not in {b"N", b"E"}:
            raise ProtocolError("unexpected answer to the request for TLS")
        elif answer == b"E" or is_required:
            raise PlainAnswerError("the server does not support TLS")

    def _arguments(self, loop: AsyncpgLoop) -> Mapping[str, Any]:
        """Return the arguments of asyncpg, including all that default to environment variables."""
        return {
            "loop": loop,
            "host": "localhost",  # unused: the connection exists already
            "port": 5432,
            "user": self.user,
            "password": "",  # unused: the login does the authentication
            "database": self.database,
            "server_settings": {"application_name": APPLICATION_NAME},
            "timeout": None,  # the monitor keeps the deadline
            "ssl": False,
            "direct_tls": False,
            "target_session_attrs": "any",
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
        }

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed, and add a note to the error if logins are blocked."""
        if isinstance(error, TimeoutError) and (note := self.opener.describe()):
            error.add_note(note)
        return explain_postgres(error, self.dialer)


class PostgresProbe(SessionProbe):
    """A probe of one server."""

    def __init__(
        self,
        server: PostgresServer,
        read_password: Callable[[], Awaitable[str]] | None,
        renew_after: float,
    ) -> None:
        super().__init__(self._open_session, server.explain, renew_after)
        self.facts = self._find_facts
        self._server = server
        self._read_password = read_password

    async def _open_session(self) -> PostgresSession:
        self._server.dialer.timeout_reason = Reason.TIMEOUT
        read = self._read_password
        session = await self._server.open_session(await read() if read else "")
        self.password_not_requested = bool(read) and not session.transport.password_requested
        return session

    def _find_facts(self) -> Facts:
        lag = self._server.statement and self._server.statement.lag
        return Facts(self._server.dialer.certificate, lag.seconds if lag else None)

    async def aclose(self) -> None:
        """Close the kept session, and give up the logins that are not complete."""
        self._server.opener.close()
        await super().aclose()
