import pytest

from tests.support.devservers.servers import DevServer
from tests.system.asking import open_probe
from tests.system.servers import SystemPostgres, SystemRedis


@pytest.fixture(name="server", params=["postgres", "redis"])
def _server(
    request: pytest.FixtureRequest, system_postgres: SystemPostgres, system_redis: SystemRedis
) -> DevServer:
    return system_postgres if request.param == "postgres" else system_redis


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_older_servers_pass(server: DevServer, require: str) -> None:
    """The system's servers are older than the development servers. All depths pass."""
    async with open_probe(server, require=require) as probe:
        for _ in range(3):
            await probe()
