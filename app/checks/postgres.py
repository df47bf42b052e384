"""The check of a PostgreSQL: one statement over a session of its own."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

from pydantic import AfterValidator

from app.checks.kind import CheckSpec, Kind, Resources, StoreOptions
from app.checks.postgres_statement import DEPTHS, Statement
from app.checks.postgres_url import TLS_FILES, PostgresTarget
from app.checks.session import SessionProbe
from app.checks.urls import ensure_tls_files
from app.health import Reason


SCHEMES = ("postgres", "postgresql", "postgresql+DRIVER")


def parse_postgres_url(text: str) -> str:
    """Return a valid URL, or raise a ValueError with the remedy."""
    ensure_tls_files(PostgresTarget.parse(text).tls_files, TLS_FILES)
    return text


class PostgresOptions(StoreOptions):
    """The options of a PostgreSQL check."""

    url: Annotated[str, AfterValidator(parse_postgres_url)] = ""


@asynccontextmanager
async def open_postgres(
    spec: CheckSpec[StoreOptions], resources: Resources
) -> AsyncIterator[SessionProbe]:
    """Provide a probe of a PostgreSQL. It connects at its first attempt."""
    from app.checks.postgres_driver import PostgresSession  # noqa: PLC0415 - see `Kind`
    from app.checks.postgres_server import PostgresServer  # noqa: PLC0415 - as above

    options = spec.options
    requirements = DEPTHS.get(options.depth)
    statement = None if requirements is None else Statement(options.timeout, requirements)
    server = PostgresServer.of_target(PostgresTarget.parse(options.url), statement)
    read = options.password_reader(spec.name, resources.read_secret)

    async def open_session() -> PostgresSession:
        server.dialer.timeout_reason = Reason.TIMEOUT
        session = await server.open_session(await read() if read else "")
        requested = session.transport.password_requested
        probe.password_not_requested = read is not None and not requested
        return session

    renew_after = 0 if options.depth == "connect" else resources.reconnect_interval
    probe = SessionProbe(open_session, server.explain, renew_after)
    with contextlib.closing(server.opener):
        async with aclosing(probe):
            yield probe


KIND = Kind("postgresql", SCHEMES, PostgresOptions, open_postgres)
