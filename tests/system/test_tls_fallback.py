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
