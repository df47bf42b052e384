"""Probes of the system's servers."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import asyncpg

from app.checks.postgres import postgres
from app.checks.redis import redis
from app.checks.session import SessionProbe
from app.devservers.servers import Server
from tests.system.certificates import Certificates
from tests.system.servers import PgBouncer, SystemPostgres


def asking(
    server: Server, url: str = "", *, require: str = "query", renew_after: float = 86400
) -> AbstractAsyncContextManager[SessionProbe]:
    """Ask a server by its own URL, or by another."""
    target = url or server.url
    make = redis if target.startswith("redis") else postgres
    return make(target, server.password_file.read_text, require=require, renew_after=renew_after)


def named(server: Server, query: str, certificates: Certificates) -> str:
    """Name a server as a certificate does, with a query that may hold the root's place."""
    url = server.url.replace("127.0.0.1", "localhost")
    return f"{url}?{query.replace('ROOT', str(certificates.root))}"


def verified(server: Server, certificates: Certificates) -> str:
    """Name a server so that its certificate is verified."""
    explain_postgres = isinstance(server, SystemPostgres)
    query = "sslmode=verify-full&sslrootcert=ROOT" if explain_postgres else "ssl_ca_certs=ROOT"
    return named(server, query, certificates)


async def console(bouncer: PgBouncer, command: str) -> None:
    """Have the PgBouncer do something."""
    connection = await asyncpg.connect(
        bouncer.url.replace("/postgres", "/pgbouncer"),
        password=bouncer.password_file.read_text(),
    )
    await connection.execute(command)
    await connection.close()


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Have a server not run while the block does."""
    server.stop()
    try:
        yield
    finally:
        server.start()
