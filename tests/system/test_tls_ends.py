import asyncio
from functools import partial

import psutil
import pytest

from app.health import Reason
from tests.support.faults.fault import Stall
from tests.support.faults.proxy import Proxy
from tests.support.faults.servers import frozen
from tests.system.asking import open_probe, verified_url
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres, SystemRedis
from tests.unit.checks.attempt import eventually, failure


Server = SystemPostgres | SystemRedis

# Words in a server's log about a client that did not close its session properly.
LOST_CLIENT = ("eof", "reset", "could not")


@pytest.fixture(name="server", scope="module", params=["postgres", "redis"])
def _server(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    tls_postgres: SystemPostgres,
    tls_redis: SystemRedis,
) -> Server:
    server = tls_postgres if request.param == "postgres" else tls_redis
    server.use_certificate(certificates.write("good", server.folder))
    return server


@pytest.fixture(name="url")
def _url(server: Server, certificates: Certificates) -> str:
    return verified_url(server, certificates)


def is_disconnected(port: int) -> bool:
    """Return whether this process has no connection to a port."""
    connections = psutil.Process().net_connections("tcp")
    return not [one for one in connections if one.raddr[1:] == (port,)]


async def test_a_frozen_server_is_a_timeout(server: Server, url: str) -> None:
    """This holds for open and for new sessions; both pass when the server resumes."""
    async with open_probe(server, url) as kept, open_probe(server, url) as new:
        await kept()
        with frozen(server):
            assert await failure(kept, 0.15) is Reason.TIMEOUT
            assert await failure(new, 0.15) is Reason.TIMEOUT
        await kept()
        await new()


async def test_a_cancelled_attempt_leaves_no_socket(server: Server, url: str) -> None:
    """The server stalls before or during TLS, during authentication or during an answer."""
    for after in range(0, 2400, 120):
        async with Proxy("127.0.0.1", server.port) as proxy:
            proxy.break_with(Stall(after))
            async with open_probe(server, url.replace(str(server.port), str(proxy.port))) as probe:
                attempt = asyncio.create_task(probe())
                await asyncio.wait({attempt}, timeout=0.03)
                attempt.cancel()
                await asyncio.gather(attempt, return_exceptions=True)
            await eventually(partial(is_disconnected, proxy.port))


@pytest.mark.parametrize("server", ["postgres"], indirect=True, scope="module")
async def test_renewals_close_the_old_session_properly(server: Server, url: str) -> None:
    """The server does not log a lost client."""
    before = len(server.log.read_text())
    async with open_probe(server, url, renew_after=0) as probe:
        for _ in range(5):
            await probe()
    await eventually(lambda: server.log.read_text()[before:].count("disconnection: ") == 5)
    logged = server.log.read_text()[before:].lower()
    assert not [word for word in LOST_CLIENT if word in logged]
