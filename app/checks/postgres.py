"""The check of a PostgreSQL: one statement over a session of its own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.checks.hosts import HostsProbe
from app.checks.kind import ANY_CASE, SECONDS, CheckSpec, Kind, Resources, StoreOptions
from app.checks.postgres_statement import ATTRIBUTES, DEPTHS, ReplicationLag, Statement
from app.checks.postgres_url import TLS_FILES, PostgresTarget
from app.checks.session import SessionProbe
from app.checks.urls import ensure_tls_files


SCHEMES = ("postgres", "postgresql", "postgresql+DRIVER")


def parse_postgres_url(text: str) -> str:
    """Return a valid URL, or raise a ValueError with the remedy."""
    ensure_tls_files(PostgresTarget.parse(text).tls_files, TLS_FILES)
    return text


# It reaches the server as it is, as a text that ends with NUL.
QUERY = r"^\s*(?i:select|with)\b[^\x00]*$"

PostgresDepth = Annotated[
    Literal["connect", "query", "writable", "replica"],
    ANY_CASE,
    Field(description="connect, query, writable or replica"),
]


class PostgresOptions(StoreOptions):
    """The options of a PostgreSQL check.

    Attributes:
        max_lag: seconds that a replica may be behind; None for any number.
        condition: a query that must return true; empty for none.
    """

    url: Annotated[str, AfterValidator(parse_postgres_url)] = ""
    depth: PostgresDepth = "query"
    max_lag: Annotated[float | None, SECONDS] = None
    condition: Annotated[str, Field(pattern=QUERY, description="one SELECT")] = ""

    @property
    def key_file(self) -> str | None:
        """The file with the key of the client's certificate; None without one."""
        files = PostgresTarget.parse(self.url).tls_files
        return files.get("sslkey") or files.get("sslcert")

    def find_problems(self) -> Iterator[tuple[str, str]]:
        """Yield options that need another depth."""
        if self.max_lag is not None and self.depth != "replica":
            yield "max_lag", "needs the depth replica. Set it, or remove max_lag."
        if self.condition and self.depth == "connect":
            yield "condition", "needs another depth than connect. Set it, or remove condition."


@asynccontextmanager
async def open_postgres(
    spec: CheckSpec[PostgresOptions], resources: Resources
) -> AsyncIterator[SessionProbe | HostsProbe[Any]]:
    """Provide a probe of a PostgreSQL. It connects at its first attempt."""
    from app.checks.postgres_server import (  # noqa: PLC0415 - see `Kind`
        PostgresProbe,
        PostgresServer,
    )

    options = spec.options
    target = PostgresTarget.parse(options.url)
    requirements = ATTRIBUTES[target.attributes] + DEPTHS[options.depth]

    def make_statement() -> Statement | None:
        if options.depth == "connect" and not requirements:
            return None
        lag = ReplicationLag(options.max_lag) if options.depth == "replica" else None
        return Statement(options.timeout, requirements, lag, options.condition)

    read = options.password_reader(spec.name, resources.read_secret)
    renew_after = 0 if options.depth == "connect" else resources.reconnect_interval
    servers = PostgresServer.of_target(target, make_statement, resources.trust)
    probes = [PostgresProbe(server, read, renew_after) for server in servers]
    async with aclosing(HostsProbe.join(probes, options.timeout)) as probe:
        yield probe


KIND = Kind(
    "postgresql", SCHEMES, PostgresOptions, open_postgres, driver="app.checks.postgres_server"
)
