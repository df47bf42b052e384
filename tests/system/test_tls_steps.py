import pytest

from app.checks.network import STAGE_LISTENER, Stage
from tests.support.devservers.servers import DevServer
from tests.system.asking import named_url, open_probe
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres, SystemRedis


async def stages(server: DevServer, url: str) -> list[Stage]:
    """Return the stages of one attempt."""
    entered = list[Stage]()
    STAGE_LISTENER.set(entered.append)
    async with open_probe(server, url) as probe:
        await probe()
    return entered


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=verify-full&sslrootcert=ROOT", "dns tcp tls tls auth query"),
        ("sslmode=prefer", "dns tcp auth tls auth query"),
    ],
)
async def test_a_postgres_attempt_has_these_stages(
    tls_postgres: SystemPostgres, certificates: Certificates, query: str, expected: str
) -> None:
    """With required TLS, the stage `tls` starts when the client asks whether TLS is supported."""
    tls_postgres.use_certificate(certificates.write("good", tls_postgres.folder))
    url = named_url(tls_postgres, query, certificates)
    assert " ".join(await stages(tls_postgres, url)) == expected


async def test_a_redis_attempt_has_these_stages(
    tls_redis: SystemRedis, certificates: Certificates
) -> None:
    """The TLS handshake precedes the first command."""
    tls_redis.use_certificate(certificates.write("good", tls_redis.folder))
    url = named_url(tls_redis, "ssl_ca_certs=ROOT", certificates)
    assert " ".join(await stages(tls_redis, url)) == "dns tcp tls auth query"
