import subprocess
from pathlib import Path

import pytest

from app.devservers.servers import Server
from app.health import Reason
from tests.probes.attempt import failure
from tests.system.asking import asking, named
from tests.system.certificates import KINDS, Certificates
from tests.system.servers import SystemPostgres, SystemRedis, program


# What a URL asks for, and the certificates with which it is had. That libpq has it so is tested.
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
REDIS = [("", ""), ("ssl_ca_certs=ROOT", "good private")]


@pytest.fixture(name="shown", scope="module", params=KINDS)
def _shown(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    tls_postgres: SystemPostgres,
    tls_redis: SystemRedis,
) -> str:
    """Have both servers show a certificate of one kind."""
    kind = str(request.param)
    for server in (tls_postgres, tls_redis):
        server.show(certificates.write(kind, server.folder))
    return kind


async def decides(server: Server, url: str, *, passes: bool, otherwise: Reason) -> None:
    """Ask, and see whether it passes."""
    async with asking(server, url) as probe:
        if passes:
            await probe()
        else:
            assert await failure(probe, within=5) is otherwise


@pytest.mark.parametrize(("query", "accepted"), POSTGRES)
async def test_postgres_is_had_with_the_certificates_that_the_url_accepts(
    tls_postgres: SystemPostgres,
    certificates: Certificates,
    shown: str,
    query: str,
    accepted: str,
) -> None:
    """Others are told as `tls`; wanting none where TLS is demanded, as `denied`."""
    otherwise = Reason.DENIED if "disable" in query else Reason.TLS
    url = named(tls_postgres, query, certificates)
    await decides(tls_postgres, url, passes=shown in accepted.split(), otherwise=otherwise)


@pytest.mark.parametrize(("query", "accepted"), POSTGRES)
def test_libpq_decides_so(
    tls_postgres: SystemPostgres,
    certificates: Certificates,
    shown: str,
    query: str,
    accepted: str,
    tmp_path: Path,
) -> None:
    """The table above is not our opinion."""
    asked = subprocess.run(
        [str(program("psql")), named(tls_postgres, query, certificates), "-c", "SELECT 1"],
        env={"PGPASSWORD": tls_postgres.password_file.read_text(), "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (asked.returncode == 0) is (shown in accepted.split()), asked.stderr


@pytest.mark.parametrize(("query", "accepted"), REDIS)
async def test_redis_is_had_with_the_certificates_that_the_url_accepts(
    tls_redis: SystemRedis, certificates: Certificates, shown: str, query: str, accepted: str
) -> None:
    """Without a root of the URL's own, the system's speak; they do not know this one."""
    url = named(tls_redis, query, certificates)
    await decides(tls_redis, url, passes=shown in accepted.split(), otherwise=Reason.TLS)
