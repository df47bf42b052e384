"""The check of a PostgreSQL: one statement over a session of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Annotated

from pydantic import AfterValidator

from app.checks.hosts import HostsProbe
from app.checks.kind import CheckSpec, Kind, Resources, StoreOptions
from app.checks.postgres_statement import ATTRIBUTES, DEPTHS, Statement
from app.checks.postgres_url import TLS_FILES, PostgresTarget
from app.checks.session import SessionProbe
from app.checks.urls import ensure_tls_files


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
) -> AsyncIterator[SessionProbe | HostsProbe]:
    """Provide a probe of a PostgreSQL. It connects at its first attempt."""
    from app.checks.postgres_server import (  # noqa: PLC0415 - see `Kind`
        PostgresProbe,
        PostgresServer,
    )

    options = spec.options
    target = PostgresTarget.parse(options.url)
    requirements = ATTRIBUTES[target.attributes] + DEPTHS[options.depth]
    is_asked = requirements or options.depth != "connect"
    statement = Statement(options.timeout, requirements) if is_asked else None
    read = options.password_reader(spec.name, resources.read_secret)
    renew_after = 0 if options.depth == "connect" else resources.reconnect_interval
    async with AsyncExitStack() as stack:
        probes = list[SessionProbe]()
        for server in PostgresServer.of_target(target, statement):
            probe = PostgresProbe(server, read, renew_after)
            probes.append(await stack.enter_async_context(aclosing(probe)))
        yield probes[0] if len(probes) == 1 else HostsProbe(probes, options.timeout)


KIND = Kind("postgresql", SCHEMES, PostgresOptions, open_postgres)
