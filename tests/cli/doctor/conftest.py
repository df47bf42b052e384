"""A set-up on real servers with which nothing is wrong, until a test breaks it in one place."""

from pathlib import Path

import pytest

from app.devservers import Postgres, Valkey
from tests.cli.conftest import Call
from tests.cli.doctor.diagnosis import Ask, Diagnosis, judged


@pytest.fixture(name="well")
def _well(
    environ: pytest.MonkeyPatch, tmp_path: Path, postgres: Postgres, valkey: Valkey
) -> pytest.MonkeyPatch:
    """Set all that is needed to reach both servers, with time enough on a busy machine."""
    for name, server in (("postgres", postgres), ("redis", valkey)):
        (tmp_path / f"{name}_password").write_text(server.password_file.read_text())
    environ.setenv("DATABASE_URL", postgres.url)
    environ.setenv("REDIS_URL", valkey.url)
    environ.setenv("CHECK_TIMEOUT", "5")
    return environ


@pytest.fixture(name="ask")
def _ask(well: pytest.MonkeyPatch, call: Call, tmp_path: Path) -> Ask:
    """Ask the doctor of a set-up that is broken, and see that people are told the same."""
    del well

    def ask() -> Diagnosis:
        shown, told = call("doctor"), call("doctor", "--json")
        return judged(shown, told, tmp_path)

    return ask
