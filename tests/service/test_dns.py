"""Name servers that refuse or never answer, with the resolver of the C library."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.faults.nameserver import Manner, NameServer, command, name_server, unavailable
from tests.support.service import SERVE, Prober, Service, on, p99, running


pytestmark = pytest.mark.alone

BOUND = 0.2 + 0.4 + 0.5
RECONNECT = 0.5


@pytest.fixture(name="names", scope="module")
def _names() -> Iterator[NameServer]:
    if why := unavailable():
        pytest.skip(why)
    with name_server({"pg.test": "127.0.0.1"}) as names:
        yield names


@pytest.fixture(name="service", scope="module")
def _service(
    postgres: Postgres,
    valkey: Valkey,
    names: NameServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    environ = on(postgres, valkey)
    environ["DATABASE_URL"] = postgres.url.replace("127.0.0.1", "pg.test")
    log = tmp_path_factory.mktemp("logs") / "service"
    with running(environ, log, command(SERVE, names.host)) as service:
        yield service


@pytest.mark.parametrize("manner", [Manner.REFUSED, Manner.NXDOMAIN, Manner.SILENT])
def test_a_name_that_is_not_resolved_fails_only_its_check(
    service: Service, names: NameServer, manner: Manner
) -> None:
    """It fails at its next connection, and passes after the repair. Responses stay fast."""
    service.until("postgres", None, BOUND)
    service.until("redis", None, BOUND)
    with Prober(service, "/health/live") as live, Prober(service, "/health/ready") as ready:
        names.manner = manner
        service.until("postgres", "dns", BOUND + RECONNECT)
        live.fill()
        ready.fill()
        asked = names.queries
        names.manner = Manner.ANSWER
        service.until("postgres", None, BOUND)
    assert asked > 0
    assert {reply.code for reply in live.replies} == {200}
    assert {reply.json["checks"]["redis"]["status"] for reply in ready.replies} == {"pass"}
    assert p99(live.replies) < 0.05
    assert p99(ready.replies) < 0.05


@pytest.mark.parametrize("manner", [Manner.REFUSED, Manner.NXDOMAIN, Manner.SILENT])
def test_the_service_may_start_before_its_name_server(
    postgres: Postgres, valkey: Valkey, names: NameServer, tmp_path: Path, manner: Manner
) -> None:
    """The check is `dns` until the name server answers."""
    environ = on(postgres, valkey)
    environ["DATABASE_URL"] = postgres.url.replace("127.0.0.1", "pg.test")
    names.manner = manner
    try:
        with running(environ, tmp_path / "log", command(SERVE, names.host)) as service:
            service.until("postgres", "dns", BOUND)
            service.until("redis", None, BOUND)
            assert service.ask("/health/started").code == service.ask("/health/live").code == 200
            names.manner = Manner.ANSWER
            service.until("postgres", None, BOUND)
    finally:
        names.manner = Manner.ANSWER


def test_a_silent_name_server_does_not_delay_the_exit(
    postgres: Postgres, names: NameServer, tmp_path: Path
) -> None:
    """The process exits although lookups hang."""
    environ = on(postgres)
    environ["DATABASE_URL"] = postgres.url.replace("127.0.0.1", "pg.test")
    names.manner = Manner.SILENT
    try:
        with running(environ, tmp_path / "log", command(SERVE, names.host)) as service:
            service.until("postgres", "dns", BOUND)
            service.process.terminate()
            service.process.wait(3)
    finally:
        names.manner = Manner.ANSWER
