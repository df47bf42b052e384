from contextlib import AsyncExitStack

import pytest

from app.check_factory import open_checks
from app.settings import load
from tests.support.devservers import Postgres
from tests.support.faults.servers import sql


@pytest.mark.parametrize(
    ("setting", "limit"),
    [("CHECK_TIMEOUT", "900"), ("POSTGRES_CHECK_TIMEOUT", "900"), ("REDIS_CHECK_TIMEOUT", "1000")],
)
async def test_postgres_cancels_a_statement_after_the_timeout_of_its_check(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, setting: str, limit: str
) -> None:
    """It is the check's own timeout, or the general one."""
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    monkeypatch.setenv("POSTGRES_PASSWORD_FILE", str(postgres.password_file))
    monkeypatch.setenv(setting, "0.9")
    latest_query = (
        "SELECT query FROM pg_stat_activity WHERE application_name = $$vitals$$"
        " ORDER BY backend_start DESC"  # a session of an earlier test may still be ending
    )
    async with AsyncExitStack() as stack:
        settings = load()
        [check] = await open_checks(settings, settings.read_secret, stack)
        await check.probe()
        assert f"statement_timeout = {limit};" in sql(postgres, latest_query)[0][0][0]
