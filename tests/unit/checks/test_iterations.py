"""How many SCRAM iterations a real PostgreSQL may ask for."""

from collections.abc import Iterator

import pytest

from app.health import Reason
from tests.support.devservers import Postgres
from tests.support.faults.servers import sql
from tests.support.specs import postgres as postgres_probe
from tests.unit.checks.attempt import failure


# Seconds, for a busy machine: the derivation takes a quarter of a second.
TIMEOUT = 10


@pytest.fixture(name="role", params=[4096, 600_000, 2_000_001])
def _role(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Create a role whose password takes so many iterations."""
    password = postgres.password_file.read_text()
    sql(
        postgres,
        f"SELECT set_config('scram_iterations', '{request.param}', false)",
        f"CREATE ROLE costly LOGIN PASSWORD '{password}'",
    )
    yield postgres.url.replace("vitals@", "costly@"), request.param
    sql(postgres, "DROP ROLE costly")


async def test_more_than_two_million_iterations_are_refused(
    postgres: Postgres, role: tuple[str, int]
) -> None:
    """The number that OWASP recommends passes. The derivation runs on a thread."""
    url, iterations = role
    verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = $$costly$$"
    assert f"SCRAM-SHA-256${iterations}:" in sql(postgres, verifier)[0][0][0]
    read = postgres.password_file.read_text
    async with postgres_probe(url, read, require="query", renew_after=86400) as probe:
        if iterations > 2_000_000:
            assert await failure(probe, TIMEOUT) is Reason.PROTOCOL
        else:
            await probe()
