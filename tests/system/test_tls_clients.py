"""A PostgreSQL that requires a certificate of its clients."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from app.health import Reason
from tests.system.asking import named_url, open_probe
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres
from tests.unit.checks.attempt import failure


@pytest.fixture(name="authority", scope="module")
def _authority(tls_postgres: SystemPostgres, certificates: Certificates) -> Iterator[trustme.CA]:
    """Restart the server so that it requires a certificate of this CA."""
    authority = trustme.CA()
    ca = tls_postgres.folder / "clients.pem"
    authority.cert_pem.write_to_path(str(ca))
    tls_postgres.use_certificate(certificates.write("good", tls_postgres.folder))
    rule = "hostssl all all all scram-sha-256 clientcert=verify-ca\n"
    (tls_postgres.data / "pg_hba.conf").write_text(rule)
    tls_postgres.arguments += (f"-cssl_ca_file={ca}",)
    tls_postgres.start()
    yield authority
    tls_postgres.use_certificate(certificates.write("good", tls_postgres.folder))


@pytest.mark.parametrize("mode", ["require", "verify-full&sslrootcert=ROOT"])
async def test_a_client_certificate_is_presented_and_replaced(
    tls_postgres: SystemPostgres,
    certificates: Certificates,
    authority: trustme.CA,
    tmp_path: Path,
    mode: str,
) -> None:
    """A wrong or expired one is `tls`. A replaced one is used without a restart."""
    file, key = tmp_path / "client.pem", tmp_path / "client.key"
    yesterday = datetime.now(UTC) - timedelta(days=1)
    right, wrong = authority.issue_cert("vitals"), trustme.CA().issue_cert("vitals")
    expired = authority.issue_cert("vitals", not_after=yesterday)
    query = f"sslmode={mode}&sslcert={file}&sslkey={key}"
    url = named_url(tls_postgres, query, certificates)
    async with open_probe(tls_postgres, url, renew_after=0) as probe:
        for leaf in (right, wrong, right, expired, right):
            leaf.cert_chain_pems[0].write_to_path(str(file))
            leaf.private_key_pem.write_to_path(str(key))
            if leaf is right:
                await probe()
            else:
                assert await failure(probe, within=5) is Reason.TLS


async def test_a_missing_client_certificate_is_tls(
    tls_postgres: SystemPostgres, certificates: Certificates, authority: trustme.CA
) -> None:
    """PostgreSQL refuses the login instead of the handshake."""
    del authority
    url = named_url(tls_postgres, "sslmode=require", certificates)
    async with open_probe(tls_postgres, url) as probe:
        assert await failure(probe, within=5) is Reason.TLS
