from pathlib import Path

import pytest

from app.health import Reason
from tests.probes.attempt import failure
from tests.system.asking import asking, named
from tests.system.certificates import Certificates
from tests.system.servers import SystemPostgres


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("disable", None), ("allow", None), ("prefer", None), ("require", Reason.DENIED)],
)
async def test_a_postgres_that_lets_in_without_tls_alone_is_had_so(
    tls_postgres: SystemPostgres, certificates: Certificates, mode: str, reason: Reason | None
) -> None:
    """`prefer` asks with TLS first, is turned away, and asks again without."""
    tls_postgres.show(certificates.write("good", tls_postgres.folder), access="hostnossl")
    async with asking(tls_postgres, named(tls_postgres, f"sslmode={mode}", certificates)) as probe:
        if reason:
            assert await failure(probe) is reason
        else:
            await probe()


@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-full&sslrootcert=ROOT"])
async def test_what_libpq_finds_by_itself_has_no_say(
    tls_postgres: SystemPostgres,
    certificates: Certificates,
    mode: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check depends on its settings alone, not on the home directory or libpq's variables."""
    tls_postgres.show(certificates.write("good", tls_postgres.folder))
    home = tmp_path / ".postgresql"
    home.mkdir()
    for name in ("postgresql.crt", "postgresql.key", "root.crt", "root.crl"):
        (home / name).write_text("nothing of the kind")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SSLCERT", "SSLKEY", "SSLROOTCERT", "SSLCRL", "SSLMINPROTOCOLVERSION", "GSSLIB"):
        monkeypatch.setenv(f"PG{name}", str(home / "root.crt"))
    async with asking(tls_postgres, named(tls_postgres, f"sslmode={mode}", certificates)) as probe:
        await probe()
