from pathlib import Path

import pytest

from app.health import Reason
from tests.system.asking import named_url, open_probe
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres
from tests.unit.checks.attempt import failure


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("disable", None), ("allow", None), ("prefer", None), ("require", Reason.DENIED)],
)
async def test_a_postgres_that_rejects_tls_passes_unless_tls_is_required(
    tls_postgres: SystemPostgres, certificates: Certificates, mode: str, reason: Reason | None
) -> None:
    """`prefer` tries TLS first, is rejected, and tries again without TLS."""
    tls_postgres.use_certificate(
        certificates.write("good", tls_postgres.folder), access="hostnossl"
    )
    async with open_probe(
        tls_postgres, named_url(tls_postgres, f"sslmode={mode}", certificates)
    ) as probe:
        if reason:
            assert await failure(probe) is reason
        else:
            await probe()


@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-full&sslrootcert=ROOT"])
async def test_defaults_of_libpq_are_ignored(
    tls_postgres: SystemPostgres,
    certificates: Certificates,
    mode: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check depends on its settings, not on the home directory or libpq's variables."""
    tls_postgres.use_certificate(certificates.write("good", tls_postgres.folder))
    home = tmp_path / ".postgresql"
    home.mkdir()
    for name in ("postgresql.crt", "postgresql.key", "root.crt", "root.crl"):
        (home / name).write_text("no certificate")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SSLCERT", "SSLKEY", "SSLROOTCERT", "SSLCRL", "SSLMINPROTOCOLVERSION", "GSSLIB"):
        monkeypatch.setenv(f"PG{name}", str(home / "root.crt"))
    async with open_probe(
        tls_postgres, named_url(tls_postgres, f"sslmode={mode}", certificates)
    ) as probe:
        await probe()
