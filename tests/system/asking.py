"""Opens the service's probes on the system's servers."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress

from app.checks.session import SessionProbe
from tests.support.devservers.servers import DevServer
from tests.support.faults.servers import connect
from tests.support.specs import postgres, redis
from tests.system.certificates import Certificates
from tests.system.servers import PgBouncer, SystemPostgres


def open_probe(
    server: DevServer, url: str = "", *, require: str = "query", renew_after: float = 86400
) -> AbstractAsyncContextManager[SessionProbe]:
    """Open a probe of a server, by its own URL or by another."""
    target = url or server.url
    make = redis if target.startswith("redis") else postgres
    return make(target, server.password_file.read_text, require=require, renew_after=renew_after)


def named_url(server: DevServer, query: str, certificates: Certificates) -> str:
    """Return a URL with the host name of the certificates; ROOT in the query is their root."""
    url = server.url.replace("127.0.0.1", "localhost")
    return f"{url}?{query.replace('ROOT', str(certificates.root))}"


def verified_url(server: DevServer, certificates: Certificates) -> str:
    """Return a URL with which a probe verifies the server's certificate."""
    is_postgres = isinstance(server, SystemPostgres)
    query = "sslmode=verify-full&sslrootcert=ROOT" if is_postgres else "ssl_ca_certs=ROOT"
    return named_url(server, query, certificates)


async def console(bouncer: PgBouncer, command: str) -> None:
    """Run a command on the admin console of PgBouncer."""
    connection = await connect(bouncer, database="pgbouncer")
    await connection.execute(command)
    await connection.close()


@contextmanager
def stopped(server: DevServer) -> Iterator[None]:
    """Stop a server until the block ends."""
    server.stop()
    try:
        yield
    finally:
        server.start()


async def wait_until_passing(probe: SessionProbe) -> None:
    """Probe until it passes, for at most 5 s."""
    async with asyncio.timeout(5):
        while True:
            with suppress(Exception):
                return await asyncio.wait_for(probe(), 0.5)
            await asyncio.sleep(0.02)
