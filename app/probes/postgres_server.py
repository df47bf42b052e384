"""How a PostgreSQL is reached, and what its errors mean."""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import make_url

from app.health import Reason
from app.probes.dialer import Dialer
from app.probes.postgres_driver import DriverLoop, DriverTransport
from app.probes.postgres_login import Login
from app.probes.postgres_messages import ServerError
from app.probes.reasons import PlainAnswerError, ProtocolError, UnansweredError
from app.probes.scram import KeyDerivation
from app.probes.session_starts import SessionStarts
from app.probes.sqlstates import of_postgres
from app.probes.sslmode import Way, should_try_next, ways
from app.probes.steps import Step, begins
from app.probes.wire import Wire


# How a session introduces itself in pg_stat_activity and in the server's log.
APPLICATION_NAME = "vitals"

# https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


@dataclass(frozen=True, slots=True)
class Connected:
    """asyncpg's connection, its transport, and the wire below."""

    driver: Any
    transport: DriverTransport
    wire: Wire

    def abort(self) -> None:
        """Cut the connection."""
        self.driver.terminate()


def _session_starts() -> SessionStarts[Connected]:
    return SessionStarts(time.monotonic, Connected.abort)


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
    ways: Sequence[Way]
    user: str
    database: str
    derive: KeyDerivation = field(default_factory=KeyDerivation)
    starts: SessionStarts[Connected] = field(default_factory=_session_starts)

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
            ways=[Way(None)] if folder else ways(query.get("sslmode"), query.get("sslrootcert")),
            user=user,
            database=target.database or user,
        )

    async def connect(self, password: str) -> Connected:
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

    async def _connect(self, password: str, way: Way) -> Connected:
        wire = await Wire.open(self.dialer)
        if self.starts.has_room(wire):
            self.starts.begin(wire, self._start(wire, password, way))
        else:
            wire.abort()
        return await self.starts.first()

    async def _start(self, wire: Wire, password: str, way: Way) -> Connected:
        try:
            await self._encrypt(wire, way)
            loop = DriverLoop(wire, Login(self.user, password, self.derive))
            driver = await asyncpg.connect(**self._arguments(loop))
        except BaseException:
            wire.abort()
            raise
        assert loop.transport  # noqa: S101 - it has connected
        return Connected(driver, loop.transport, wire)

    async def _encrypt(self, wire: Wire, way: Way) -> None:
        if way.trust is None:
            return
        begins(Step.TLS if way.demands else Step.AUTHENTICATION)
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

    def _arguments(self, loop: DriverLoop) -> Mapping[str, Any]:
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
        return of_postgres(error) or self.dialer.explain(error)
