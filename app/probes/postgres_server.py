"""How a PostgreSQL is reached, and what its errors mean."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import make_url

from app.health import Reason
from app.probes.dialer import Dialer
from app.probes.dialing_loop import DialingLoop
from app.probes.sqlstates import of_postgres
from app.probes.sslmode import Security, securities, wants_another
from app.probes.steps import Step


# How a session introduces itself in pg_stat_activity and in the server's log.
APPLICATION_NAME = "vitals"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL, as a URL names it.

    Attributes:
        ways: with TLS and without, in the order in which they are tried.
        arguments: what asyncpg is told beside the way and the password.

    """

    dialer: Dialer
    ways: Sequence[Security]
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, url: str) -> "PostgresServer":
        """Read a URL."""
        target = make_url(url)
        query = {key: str(value) for key, value in target.query.items()}
        folder = query.get("host", "")
        host, port = target.host or "localhost", target.port or 5432
        return cls(
            dialer=Dialer(f"{folder}/.s.PGSQL.{port}" if folder else host, port),
            ways=securities(query.get("sslmode", "prefer"), query.get("sslrootcert")),
            arguments={
                "host": folder or host,
                "port": port,
                "user": target.username,
                "database": target.database or target.username,
                "server_settings": {"application_name": APPLICATION_NAME},
            },
        )

    async def connect(self, password: str) -> Any:
        """Connect, in another way where the server may have refused the one before as such."""
        *others, last = self.ways
        for security in others:
            try:
                return await self._connect(password, security)
            except (OSError, asyncpg.PostgresError) as error:
                if not wants_another(error):
                    raise
        return await self._connect(password, last)

    async def _connect(self, password: str, security: Security) -> Any:
        """Connect over the dialer, and leave nothing behind where that fails."""
        # Where TLS is a wish, asyncpg does not tell that it is refused.
        demanded = isinstance(security, ssl.SSLContext)
        loop = DialingLoop(self.dialer, Step.TLS if demanded else Step.AUTHENTICATION)
        try:
            return await asyncpg.connect(
                **self.arguments,
                password=password,
                ssl=security,
                loop=loop,
                timeout=None,  # the deadline is the monitor's
                # Given, so that asyncpg does not look for them in the environment.
                direct_tls=False,
                target_session_attrs="any",
            )
        except BaseException:
            loop.abort()
            raise

    def explain(self, error: BaseException) -> Reason:
        """Tell why an attempt failed."""
        wants_tls = len(self.ways) == 1 and isinstance(self.ways[0], ssl.SSLContext)
        return of_postgres(error, wants_tls=wants_tls) or self.dialer.explain(error)
