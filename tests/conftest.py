"""Fixtures shared by all tests: servers, settings and a temporary folder."""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from app.settings import Settings
from tests.support.broken_settings import CANARY, PG, REDIS
from tests.support.devservers import Postgres, Valkey


# Most of their tests start the service.
SLOW_FOLDERS = ("tests/service/", "tests/fuzz/")

# No deadline, because the duration of an example depends on the load of the machine.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A shell ignores these two signals in background jobs, and all child processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_collection() -> None:
    """Disable garbage collection during imports, where it took a sixth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exclude imported modules from garbage collection, as each full collection took 0.4 s."""
    gc.freeze()
    gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that `make service-test` runs: by folder, or by the running service."""
    if item.nodeid.startswith(SLOW_FOLDERS) or "service" in getattr(item, "fixturenames", ()):
        item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def _no_coverage_of_subprocesses() -> Iterator[None]:
    """Disable coverage in processes that tests start, as it took a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _templates_of_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Initialize the data of a PostgreSQL once, for all workers."""
    folder = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Postgres, "templates", folder.parent if is_worker else folder)
        yield


@pytest.fixture(name="open_folder")
def _open_folder() -> Iterator[Path]:
    """Create a folder with a space in its path that, unlike pytest's own, any user may enter."""
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
    """Run a PostgreSQL for one module, which may break it if it repairs it."""
    with Postgres() as server:
        yield server


@pytest.fixture(name="own_valkey", scope="module")
def _own_valkey() -> Iterator[Valkey]:
    """Run a Valkey for one module, which may break it if it repairs it."""
    with Valkey() as server:
        yield server


@pytest.fixture(name="environ")
def _environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set the variables for a service with both dependencies, and unset all others."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("postgres_password", "redis_password"):
        (tmp_path / name).write_text(CANARY)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", PG)
    monkeypatch.setenv("REDIS_URL", REDIS)
    return monkeypatch
