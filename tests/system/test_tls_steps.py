import pytest

from app.checks.network import STAGE_LISTENER, Stage
from app.devservers.servers import Server
from tests.system.asking import asking, named
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres, SystemRedis


async def steps(server: Server, url: str) -> list[Stage]:
    """The steps of one attempt."""
    taken = list[Stage]()
    STAGE_LISTENER.set(taken.append)
    async with asking(server, url) as probe:
        await probe()
    return taken


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=verify-full&sslrootcert=ROOT", "dns tcp tls tls auth query"),
        ("sslmode=prefer", "dns tcp auth tls auth query"),
    ],
)
async def test_postgres_is_asked_in_steps(
    tls_postgres: SystemPostgres, certificates: Certificates, query: str, expected: str
) -> None:
    """Where TLS is demanded it is so from the question on whether there is any."""
    tls_postgres.show(certificates.write("good", tls_postgres.folder))
    assert " ".join(await steps(tls_postgres, named(tls_postgres, query, certificates))) == expected


async def test_redis_is_asked_in_steps(tls_redis: SystemRedis, certificates: Certificates) -> None:
    """TLS comes before anything is said."""
    tls_redis.show(certificates.write("good", tls_redis.folder))
    url = named(tls_redis, "ssl_ca_certs=ROOT", certificates)
    assert " ".join(await steps(tls_redis, url)) == "dns tcp tls auth query"
