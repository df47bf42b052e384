import subprocess
from pathlib import Path

import pytest

from app.health import Reason
from tests.support.devservers.servers import DevServer
from tests.support.specs import redis
from tests.system.asking import named_url, open_probe
from tests.system.certificates import KINDS, Certificates
from tests.system.servers import SystemPostgres, SystemRedis, program
from tests.unit.checks.attempt import failure


# Queries of a URL, and the certificates that they accept. A test verifies that libpq agrees.
EVERY = "good private expired misnamed untrusted"
POSTGRES = [
    ("sslmode=disable", ""),
    ("sslmode=allow", EVERY),
    ("sslmode=prefer", EVERY),
    ("sslmode=require", EVERY),
    ("sslmode=require&sslrootcert=ROOT", "good private misnamed"),
    ("sslmode=verify-ca", ""),
    ("sslmode=verify-ca&sslrootcert=ROOT", "good private misnamed"),
    ("sslmode=verify-full", ""),
    ("sslmode=verify-full&sslrootcert=ROOT", "good private"),
]
REDIS = [
    ("", ""),
    ("ssl_ca_certs=ROOT", "good private"),
    ("ssl_ca_certs=ROOT&ssl_check_hostname=false", "good private misnamed"),
    ("ssl_cert_reqs=none", EVERY),
]


@pytest.fixture(name="presented", scope="module", params=KINDS)
def _presented(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    tls_postgres: SystemPostgres,
    tls_redis: SystemRedis,
) -> str:
    """Restart both servers with a certificate of one kind."""
    kind = str(request.param)
    for server in (tls_postgres, tls_redis):
        server.use_certificate(certificates.write(kind, server.folder))
    return kind


async def assert_result(server: DevServer, url: str, *, passes: bool, otherwise: Reason) -> None:
    """Assert that a probe passes, or fails for the reason *otherwise*."""
    async with open_probe(server, url) as probe:
        if passes:
            await probe()
        else:
            assert await failure(probe, within=5) is otherwise


@pytest.mark.parametrize(("query", "accepted"), POSTGRES)
async def test_postgres_passes_with_the_certificates_that_the_url_accepts(
    tls_postgres: SystemPostgres,
    certificates: Certificates,
    presented: str,
    query: str,
    accepted: str,
) -> None:
    """Others fail as `tls`. Without TLS, a server that requires it is `denied`."""
    otherwise = Reason.DENIED if "disable" in query else Reason.TLS
    url = named_url(tls_postgres, query, certificates)
    await assert_result(
        tls_postgres, url, passes=presented in accepted.split(), otherwise=otherwise
    )


@pytest.mark.parametrize(("query", "accepted"), POSTGRES)
def test_libpq_accepts_the_same_certificates(
    tls_postgres: SystemPostgres,
    certificates: Certificates,
    presented: str,
    query: str,
    accepted: str,
    tmp_path: Path,
) -> None:
    """The table above has no other reference than libpq."""
    done = subprocess.run(
        [str(program("psql")), named_url(tls_postgres, query, certificates), "-c", "SELECT 1"],
        env={"PGPASSWORD": tls_postgres.password_file.read_text(), "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) is (presented in accepted.split()), done.stderr


@pytest.mark.parametrize(("mode", "path"), [("cluster", ""), ("sentinel", "/main")])
async def test_seeds_and_sentinels_use_tls(
    tls_redis: SystemRedis, certificates: Certificates, mode: str, path: str
) -> None:
    """The server is neither, but its refusal came over TLS."""
    tls_redis.use_certificate(certificates.write("good", tls_redis.folder))
    hosts = f"localhost:{tls_redis.port},127.0.0.1:{tls_redis.port}"
    url = f"rediss+{mode}://{hosts}{path}?ssl_ca_certs={certificates.root}"
    read = tls_redis.password_file.read_text
    async with redis(url, read, require="query", renew_after=60) as probe:
        assert await failure(probe, within=5) is Reason.MISCONFIGURED


@pytest.mark.parametrize(("query", "accepted"), REDIS)
async def test_redis_passes_with_the_certificates_that_the_url_accepts(
    tls_redis: SystemRedis, certificates: Certificates, presented: str, query: str, accepted: str
) -> None:
    """Without a root in the URL, the roots of the system apply, which don't include this one."""
    url = named_url(tls_redis, query, certificates)
    await assert_result(tls_redis, url, passes=presented in accepted.split(), otherwise=Reason.TLS)
