"""Faults on real servers, one by one: what the service tells, how soon, and that it never waits."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from app.devservers import Postgres, Valkey
from tests.faults import postgres as pg
from tests.faults import redis
from tests.faults.servers import frozen, killed, sql
from tests.service import Prober, Service, on, p99, running


pytestmark = pytest.mark.alone

# What the interface promises for the settings of these tests. A fault that an open session can't
# see shows when it is renewed.
BOUND = 0.2 + 0.4 + 0.5
RECONNECT = 0.5

Fault = Callable[[Postgres, Valkey], AbstractContextManager[object]]


class Stage:
    """Two servers and two services on them: one requires both, to the other they are optional."""

    def __init__(self, postgres: Postgres, valkey: Valkey, stack: ExitStack, logs: Path) -> None:
        self.postgres = postgres
        self.valkey = valkey
        password = postgres.password_file.read_text()
        sql(postgres, f"CREATE ROLE probed LOGIN PASSWORD '{password}'", "CREATE DATABASE probed")
        environ = {
            **on(postgres, valkey),
            "DATABASE_URL": f"postgresql://probed@127.0.0.1:{postgres.port}/probed",
            "POSTGRES_REQUIRE": "writable",
            "REDIS_REQUIRE": "writable",
        }
        self.strict = stack.enter_context(running(environ, logs / "strict"))
        environ["OPTIONAL_CHECKS"] = "postgres, redis"
        self.lenient = stack.enter_context(running(environ, logs / "lenient"))


@pytest.fixture(name="stage", scope="module")
def _stage(
    own_postgres: Postgres, own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(own_postgres, own_valkey, stack, tmp_path_factory.mktemp("logs"))


def altered(broken: str, mended: str) -> Fault:
    """Change something of PostgreSQL's with a statement, and change it back."""
    return lambda server, _: pg.altered(server, broken, mended)


def configured(name: str, value: str) -> Fault:
    """Change a setting of Redis, and change it back."""
    return lambda _, server: redis.configured(server, name, value)


FAULTS = [
    pytest.param("postgres", "timeout", lambda server, _: frozen(server), 0, id="postgres frozen"),
    pytest.param("postgres", "refused", lambda server, _: killed(server), 0, id="postgres killed"),
    pytest.param(
        "postgres",
        "auth",
        altered("ALTER ROLE probed PASSWORD 'another'", "ALTER ROLE probed PASSWORD '{password}'"),
        RECONNECT,
        id="another password",
    ),
    pytest.param(
        "postgres",
        "denied",
        altered("ALTER ROLE probed NOLOGIN", "ALTER ROLE probed LOGIN"),
        RECONNECT,
        id="no login",
    ),
    pytest.param(
        "postgres",
        "too_many_connections",
        altered("ALTER ROLE probed CONNECTION LIMIT 0", "ALTER ROLE probed CONNECTION LIMIT -1"),
        RECONNECT,
        id="connection limit reached",
    ),
    pytest.param(
        "postgres",
        "misconfigured",
        altered("DROP DATABASE probed WITH (FORCE)", "CREATE DATABASE probed"),
        0,
        id="database gone",
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
        "redis", "auth", configured("requirepass", "another"), RECONNECT, id="requirepass changed"
    ),
    pytest.param("redis", "out_of_memory", configured("maxmemory", "1"), 0, id="maxmemory reached"),
    pytest.param(
        "redis", "read_only", lambda _, server: redis.replica(server), 0, id="redis a replica"
    ),
    pytest.param(
        "redis", "starting", lambda _, server: redis.loading(server), 0, id="redis loading"
    ),
]


@pytest.mark.parametrize(("name", "reason", "fault", "unseen"), FAULTS)
def test_a_fault_is_told_within_the_bound_and_so_is_its_repair(
    stage: Stage, name: str, reason: str, fault: Fault, unseen: float
) -> None:
    """Readiness fails for the right reason, nothing else does, and no answer is ever late."""
    stage.strict.until(name, None, BOUND)
    with (
        Prober(stage.strict, "/health/live") as live,
        Prober(stage.strict, "/health/ready") as ready,
    ):
        with fault(stage.postgres, stage.valkey):
            stage.strict.until(name, reason, BOUND + unseen)
            assert stage.strict.ask("/health/ready").code == 503
            assert_warns(stage.lenient, name, reason)
            live.fill()
            ready.fill()
        stage.strict.until(name, None, BOUND + (RECONNECT if unseen else 0))
        assert stage.strict.ask("/health/ready").code == 200
    other = "redis" if name == "postgres" else "postgres"
    assert {reply.code for reply in live.replies} == {200}
    assert {reply.json["checks"][other]["status"] for reply in ready.replies} == {"pass"}
    assert p99(live.replies) < 0.05
    assert p99(ready.replies) < 0.05


def assert_warns(service: Service, name: str, reason: str) -> None:
    """Where the check is optional the same fault is a warning, and a 200."""
    service.until(name, reason, BOUND + RECONNECT)
    reply = service.ask("/health/ready")
    assert (reply.code, reply.json["status"]) == (200, "warn")
