"""Faults of real servers: the service reports each in time, and never delays an answer."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.faults import postgres as pg
from tests.support.faults import redis
from tests.support.faults.servers import frozen, killed, sql
from tests.support.service import Prober, Service, on, p99, running


pytestmark = pytest.mark.alone

# Seconds within which the service must report a fault with the settings of these tests. A fault
# that an open session can't see shows after the next renewal.
BOUND = 0.2 + 0.4 + 0.5
RECONNECT = 0.5

Fault = Callable[[Postgres, Valkey], AbstractContextManager[object]]


class Environment:
    """Two servers and two services: the checks of one are required, of the other optional."""

    def __init__(self, postgres: Postgres, valkey: Valkey, stack: ExitStack, logs: Path) -> None:
        self.postgres = postgres
        self.valkey = valkey
        password = postgres.password_file.read_text()
        sql(postgres, f"CREATE ROLE probed LOGIN PASSWORD '{password}'", "CREATE DATABASE probed")
        environ = {
            **on(postgres, valkey),
            "DATABASE_URL": f"postgresql://probed@127.0.0.1:{postgres.port}/probed",
            "POSTGRES_DEPTH": "writable",
            "REDIS_DEPTH": "writable",
        }
        self.required = stack.enter_context(running(environ, logs / "required"))
        environ["OPTIONAL_CHECKS"] = "postgres, redis"
        self.optional = stack.enter_context(running(environ, logs / "optional"))


@pytest.fixture(name="environment", scope="module")
def _environment(
    own_postgres: Postgres, own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    with ExitStack() as stack:
        yield Environment(own_postgres, own_valkey, stack, tmp_path_factory.mktemp("logs"))


def altered(broken: str, repaired: str) -> Fault:
    """Return a fault that one SQL statement causes and another one repairs."""
    return lambda server, _: pg.altered(server, broken, repaired)


def configured(name: str, value: str) -> Fault:
    """Return a fault that a changed setting of Redis causes."""
    return lambda _, server: redis.configured(server, name, value)


FAULTS = [
    pytest.param("postgres", "timeout", lambda server, _: frozen(server), 0, id="postgres frozen"),
    pytest.param("postgres", "refused", lambda server, _: killed(server), 0, id="postgres killed"),
    pytest.param(
        "postgres",
        "auth",
        altered("ALTER ROLE probed PASSWORD 'another'", "ALTER ROLE probed PASSWORD '{password}'"),
        RECONNECT,
        id="postgres password changed",
    ),
    pytest.param(
        "postgres",
        "denied",
        altered("ALTER ROLE probed NOLOGIN", "ALTER ROLE probed LOGIN"),
        RECONNECT,
        id="postgres role without login",
    ),
    pytest.param(
        "postgres",
        "too_many_connections",
        altered("ALTER ROLE probed CONNECTION LIMIT 0", "ALTER ROLE probed CONNECTION LIMIT -1"),
        RECONNECT,
        id="postgres connection limit reached",
    ),
    pytest.param(
        "postgres",
        "misconfigured",
        altered("DROP DATABASE probed WITH (FORCE)", "CREATE DATABASE probed"),
        0,
        id="postgres database dropped",
    ),
    pytest.param(
        "postgres",
        "read_only",
        altered(
            "ALTER DATABASE probed SET default_transaction_read_only = on",
            "ALTER DATABASE probed RESET default_transaction_read_only",
        ),
        RECONNECT,
        id="postgres read-only",
    ),
    pytest.param("redis", "timeout", lambda _, server: frozen(server), 0, id="redis frozen"),
    pytest.param("redis", "refused", lambda _, server: killed(server), 0, id="redis killed"),
    pytest.param(
        "redis",
        "auth",
        configured("requirepass", "another"),
        RECONNECT,
        id="redis password changed",
    ),
    pytest.param(
        "redis", "out_of_memory", configured("maxmemory", "1"), 0, id="redis maxmemory reached"
    ),
    pytest.param(
        "redis", "read_only", lambda _, server: redis.replica(server), 0, id="redis a replica"
    ),
    pytest.param(
        "redis", "starting", lambda _, server: redis.loading(server), 0, id="redis loading"
    ),
]


@pytest.mark.parametrize(("name", "reason", "fault", "unseen"), FAULTS)
def test_a_fault_and_its_repair_are_reported_in_time(
    environment: Environment, name: str, reason: str, fault: Fault, unseen: float
) -> None:
    """Readiness fails for the right reason, nothing else fails, and no answer is late."""
    environment.required.until(name, None, BOUND)
    with (
        Prober(environment.required, "/health/live") as live,
        Prober(environment.required, "/health/ready") as ready,
    ):
        with fault(environment.postgres, environment.valkey):
            environment.required.until(name, reason, BOUND + unseen)
            assert environment.required.ask("/health/ready").code == 503
            assert_warns(environment.optional, name, reason)
            live.fill()
            ready.fill()
        environment.required.until(name, None, BOUND + (RECONNECT if unseen else 0))
        assert environment.required.ask("/health/ready").code == 200
    other = "redis" if name == "postgres" else "postgres"
    assert {reply.code for reply in live.replies} == {200}
    assert {reply.json["checks"][other]["status"] for reply in ready.replies} == {"pass"}
    assert p99(live.replies) < 0.05
    assert p99(ready.replies) < 0.05


def assert_warns(service: Service, name: str, reason: str) -> None:
    """Assert that an optional check turns the fault into a warning with status 200."""
    service.until(name, reason, BOUND + RECONNECT)
    reply = service.ask("/health/ready")
    assert (reply.code, reply.json["status"]) == (200, "warn")
