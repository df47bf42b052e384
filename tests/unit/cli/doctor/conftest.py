"""A healthy setup on real servers, which a test breaks in one place."""

from pathlib import Path

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.unit.cli.conftest import Call
from tests.unit.cli.doctor.diagnosis import Ask, Diagnosis, parse


@pytest.fixture(name="well")
def _well(
    environ: pytest.MonkeyPatch, tmp_path: Path, postgres: Postgres, valkey: Valkey
) -> pytest.MonkeyPatch:
    """Set what is needed to reach both servers, with a timeout for a busy machine."""
    for name, server in (("postgres", postgres), ("redis", valkey)):
        (tmp_path / f"{name}_password").write_text(server.password_file.read_text())
    environ.setenv("DATABASE_URL", postgres.url)
    environ.setenv("REDIS_URL", valkey.url)
    environ.setenv("CHECK_TIMEOUT", "5")
    return environ


@pytest.fixture(name="ask")
def _ask(well: pytest.MonkeyPatch, call: Call, tmp_path: Path) -> Ask:
    """Run `vitals doctor` on a broken setup, with and without --json."""
    del well

    def ask() -> Diagnosis:
        return parse(call("doctor"), call("doctor", "--json"), tmp_path)

    return ask
