import pytest

from app.devservers.servers import Server
from tests.system.asking import asking
from tests.system.servers import SystemPostgres, SystemRedis


@pytest.fixture(name="server", params=["postgres", "redis"])
def _server(
    request: pytest.FixtureRequest, system_postgres: SystemPostgres, system_redis: SystemRedis
) -> Server:
    return system_postgres if request.param == "postgres" else system_redis


@pytest.mark.parametrize("require", ["connect", "query", "writable"])
async def test_the_systems_servers_pass(server: Server, require: str) -> None:
    """They are older than the embedded ones: at every depth, on a new session as on a kept one."""
    async with asking(server, require=require) as probe:
        for _ in range(3):
            await probe()
