import asyncio
from functools import partial

import psutil
import pytest

from app.health import Reason
from tests.faults.fault import Stall
from tests.faults.proxy import Proxy
from tests.faults.servers import frozen
from tests.probes.attempt import eventually, failure
from tests.system.asking import asking, verified
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres, SystemRedis


Server = SystemPostgres | SystemRedis

# What a server's log holds when a client left without a word.
RUDE = ("eof", "reset", "could not")


@pytest.fixture(name="server", scope="module", params=["postgres", "redis"])
def _server(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    tls_postgres: SystemPostgres,
    tls_redis: SystemRedis,
) -> Server:
    server = tls_postgres if request.param == "postgres" else tls_redis
    server.show(certificates.write("good", server.folder))
    return server


@pytest.fixture(name="url")
def _url(server: Server, certificates: Certificates) -> str:
    return verified(server, certificates)


def unconnected(port: int) -> bool:
    """Whether this process has no connection to a port."""
    connections = psutil.Process().net_connections("tcp")
    return not [known for known in connections if known.raddr[1:] == (port,)]


async def test_a_frozen_server_is_a_timeout(server: Server, url: str) -> None:
    """Over TLS as without it, on a kept session as on a new one; it passes when it goes on."""
    async with asking(server, url) as kept, asking(server, url) as new:
        await kept()
        with frozen(server):
            assert await failure(kept, 0.15) is Reason.TIMEOUT
            assert await failure(new, 0.15) is Reason.TIMEOUT
        await kept()
        await new()


async def test_a_cancelled_attempt_leaves_no_socket(server: Server, url: str) -> None:
    """Wherever the server falls silent: before TLS or in it, while authenticating or answering."""
    for after in range(0, 2400, 120):
        async with Proxy("127.0.0.1", server.port) as proxy:
            proxy.break_with(Stall(after))
            async with asking(server, url.replace(str(server.port), str(proxy.port))) as probe:
                attempt = asyncio.create_task(probe())
                await asyncio.wait({attempt}, timeout=0.03)
                attempt.cancel()
                await asyncio.gather(attempt, return_exceptions=True)
            await eventually(partial(unconnected, proxy.port))


@pytest.mark.parametrize("server", ["postgres"], indirect=True, scope="module")
async def test_renewals_say_goodbye(server: Server, url: str) -> None:
    """The server's log does not call it a client that was lost."""
    before = len(server.log.read_text())
    async with asking(server, url, renew_after=0) as probe:
        for _ in range(5):
            await probe()
    await eventually(lambda: server.log.read_text()[before:].count("disconnection: ") == 5)
    said = server.log.read_text()[before:].lower()
    assert not [word for word in RUDE if word in said]
