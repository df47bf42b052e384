"""The system's servers, and the manifests that its kubectl renders."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from tests.repository.deploy.overlay import OVERLAYS, Overlay
from tests.support.faults.servers import sql
from tests.system.certificates import Certificates
from tests.system.servers import PgBouncer, SystemPostgres, SystemRedis


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run TLS tests on both event loops, because each has its own implementation of TLS."""
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return loops if "tls" in item.path.name else {"uvloop": loops["uvloop"]}


@pytest.fixture(name="certificates", scope="session")
def _certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(name="system_postgres", scope="session")
def _system_postgres() -> Iterator[SystemPostgres]:
    """Run a PostgreSQL without TLS that tests may break if they repair it."""
    server = SystemPostgres()
    server.arguments = ("-clog_statement=all",)
    with server:
        yield server


@pytest.fixture(name="tls_postgres", scope="session")
def _tls_postgres() -> Iterator[SystemPostgres]:
    """Run a server without TLS; each test chooses the certificate."""
    with SystemPostgres() as server:
        yield server


@pytest.fixture(name="system_redis", scope="session")
def _system_redis() -> Iterator[SystemRedis]:
    with SystemRedis() as server:
        yield server


@pytest.fixture(name="tls_redis", scope="session")
def _tls_redis() -> Iterator[SystemRedis]:
    """Run a server without TLS; each test chooses the certificate."""
    with SystemRedis() as server:
        yield server


@pytest.fixture(name="running", scope="module")
def _running(system_postgres: SystemPostgres) -> Iterator[PgBouncer]:
    with PgBouncer(system_postgres) as server:
        yield server


@pytest.fixture(name="bouncer")
def _bouncer(running: PgBouncer) -> PgBouncer:
    """Restart PgBouncer for each test, with one server connection and a short retry interval."""
    running.settings = {"server_login_retry": "0.2", "default_pool_size": "1"}
    running.start()
    return running


@pytest.fixture(name="role")
def _role(system_postgres: SystemPostgres, bouncer: PgBouncer) -> Iterator[str]:
    """Create a role for the test, with the password that PgBouncer has, and yield its URL."""
    password = system_postgres.password_file.read_text()
    sql(system_postgres, f"CREATE ROLE probed LOGIN PASSWORD '{password}'")
    yield bouncer.url.replace("vitals@", "probed@")
    bouncer.stop()
    sql(system_postgres, "DROP OWNED BY probed", "DROP ROLE probed")


@pytest.fixture(name="overlay", scope="session", params=OVERLAYS)
def _overlay(request: pytest.FixtureRequest) -> Overlay:
    return Overlay(request.param)
