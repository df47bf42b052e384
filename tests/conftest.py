"""The servers, settings and folder that tests share, and the servers that a test may break."""

import gc
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from app.devservers import Postgres, Valkey
from app.settings import Settings
from tests.broken_settings import CANARY, PG, REDIS


# How long an example takes is a matter of the machine, and of what else it does.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A shell ignores these two for what it starts in the background, and every child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_collection() -> None:
    """Look for no garbage while everything is imported: it took a sixth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep what was imported from the garbage collector: each full look through it took 0.4 s."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _coverage_of_its_own() -> Iterator[None]:
    """Have the processes that tests start not measured: it took a tenth of all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(name="open_folder")
def _open_folder() -> Iterator[Path]:
    """Give a folder with a space in its path that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="with space ") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.fixture(name="postgres", scope="session")
def _postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(name="valkey", scope="session")
def _valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(name="own_postgres", scope="module")
def _own_postgres() -> Iterator[Postgres]:
    """Give a module a PostgreSQL that it may break, as long as it mends it."""
    with Postgres() as server:
        yield server


@pytest.fixture(name="own_valkey", scope="module")
def _own_valkey() -> Iterator[Valkey]:
    """Give a module a Valkey that it may break, as long as it mends it."""
    with Valkey() as server:
        yield server


@pytest.fixture(name="environ")
def _environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set what a service on both dependencies needs, and nothing else."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("postgres_password", "redis_password"):
        (tmp_path / name).write_text(CANARY)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", PG)
    monkeypatch.setenv("REDIS_URL", REDIS)
    return monkeypatch
