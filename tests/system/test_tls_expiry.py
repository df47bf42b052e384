"""What is known of a store's certificate."""

from typing import Any

import pytest
from cryptography import x509

from app.health import Facts
from tests.support.devservers.servers import DevServer
from tests.system.asking import named_url, open_probe
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres, SystemRedis


async def learn(server: DevServer, url: str) -> Facts:
    """Return what an attempt learns."""
    probe: Any
    async with open_probe(server, url) as probe:
        await probe()
        facts: Facts = probe.facts()
        return facts


@pytest.mark.parametrize(
    ("query", "is_known"),
    [
        ("sslmode=verify-full&sslrootcert=ROOT", True),
        ("sslmode=verify-ca&sslrootcert=ROOT", True),
        ("sslmode=require", False),
    ],
)
async def test_the_end_of_a_verified_postgres_certificate_is_known(
    tls_postgres: SystemPostgres, certificates: Certificates, query: str, *, is_known: bool
) -> None:
    file = certificates.write("private", tls_postgres.folder)
    tls_postgres.use_certificate(file)
    found = await learn(tls_postgres, named_url(tls_postgres, query, certificates))
    assert bool(found.certificate) is is_known
    if found.certificate:
        issued = x509.load_pem_x509_certificates(file.read_bytes())[0]
        ends = issued.not_valid_after_utc.timestamp()
        assert found.certificate.expires_at == ends


@pytest.mark.parametrize(
    ("query", "is_known"), [("ssl_ca_certs=ROOT", True), ("ssl_cert_reqs=none", False)]
)
async def test_the_end_of_a_verified_redis_certificate_is_known(
    tls_redis: SystemRedis, certificates: Certificates, query: str, *, is_known: bool
) -> None:
    tls_redis.use_certificate(certificates.write("good", tls_redis.folder))
    found = await learn(tls_redis, named_url(tls_redis, query, certificates))
    assert bool(found.certificate) is is_known
