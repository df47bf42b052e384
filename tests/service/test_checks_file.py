"""Checks from one file, on real servers: each breaks and recovers alone."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import frozen, killed
from tests.support.ports import free_port
from tests.support.private_ca import DAY, PrivateCA
from tests.support.service import Service, running
from tests.support.tls_server import TlsServer


@dataclass
class Dependency:
    """A server, and what a failure of it looks like.

    Attributes:
        options: of its check.
        broken: breaks it while the block runs.
        reason: that the check has meanwhile.
    """

    options: Mapping[str, Any]
    broken: Callable[[], AbstractContextManager[None]]
    reason: str

    @property
    def bound(self) -> float:
        """The longest time in seconds until a fault or a repair shows."""
        interval, timeout = self.options.get("interval", 0.2), self.options.get("timeout", 0.3)
        threshold = self.options.get("failure_threshold", 1)
        delay: float = (threshold - 1) * max(interval, timeout) + interval + timeout + 0.5
        return delay


class Port:
    """A TCP port that can be closed and opened again."""

    def __init__(self) -> None:
        self.number = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.number))

    def close(self) -> None:
        """Close it."""
        self._listener.close()

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Close it while the block runs."""
        self.close()
        yield
        self._listener = socket.create_server(("127.0.0.1", self.number))


def wrong_certificate(server: TlsServer, folder: Path) -> AbstractContextManager[None]:
    """Let a server use an expired certificate while the block runs."""

    @contextlib.contextmanager
    def use() -> Iterator[None]:
        server.use(folder / "expired.pem")
        yield
        server.use(folder / "valid.pem")

    return use()


def store(server: Postgres | Valkey, **options: Any) -> dict[str, Any]:
    """Return the options of the check of a store with its own password file."""
    kind = "postgres" if isinstance(server, Postgres) else "redis"
    return {"url": server.url, "password": f"{kind}_{server.port}", **options}


def dependencies(stack: ExitStack, folder: Path) -> dict[str, Dependency]:
    """Start two PostgreSQL, three Redis-compatible, an HTTPS, a TLS and a TCP server."""
    databases = [stack.enter_context(Postgres()) for _ in range(2)]
    caches = [stack.enter_context(Valkey()) for _ in range(3)]
    servers: list[Postgres | Valkey] = [*databases, *caches]
    for server in servers:
        name = store(server)["password"]
        (folder / name).write_text(server.password_file.read_text())
    authority = PrivateCA()
    (folder / "ca.pem").write_bytes(authority.pem)
    authority.issue(folder / "valid.pem", "127.0.0.1", ends=100 * DAY)
    authority.issue(folder / "expired.pem", "127.0.0.1", begins=-2 * DAY, ends=-DAY)
    web, tls = (stack.enter_context(TlsServer(folder / "valid.pem")) for _ in range(2))
    port, ca = stack.enter_context(contextlib.closing(Port())), str(folder / "ca.pem")
    return {
        "orders": Dependency(
            store(databases[0], depth="writable", failure_threshold=2),
            lambda: killed(databases[0]),
            "refused",
        ),
        "reporting": Dependency(store(databases[1]), lambda: frozen(databases[1]), "timeout"),
        "sessions": Dependency(store(caches[0]), lambda: killed(caches[0]), "refused"),
        "queue": Dependency(
            store(caches[1], depth="writable", timeout=0.5), lambda: frozen(caches[1]), "timeout"
        ),
        "cache": Dependency(
            store(caches[2], interval=0.5, required=False), lambda: killed(caches[2]), "refused"
        ),
        "payments": Dependency(
            {"url": f"https://127.0.0.1:{web.port}/", "ca": ca, "expect": "2xx"},
            lambda: wrong_certificate(web, folder),
            "tls",
        ),
        "mail": Dependency(
            {"url": f"tls://127.0.0.1:{tls.port}", "ca": ca},
            lambda: wrong_certificate(tls, folder),
            "tls",
        ),
        "kafka": Dependency({"url": f"tcp://127.0.0.1:{port.number}"}, port.closed, "refused"),
    }


def write_toml(file: Path, checks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a file of checks. JSON spells these values as TOML does."""
    lines = ["[defaults]", "interval = 0.2", "timeout = 0.3"]
    for name, options in checks.items():
        lines += [f"[checks.{name}]"]
        lines += [f"{option} = {json.dumps(value)}" for option, value in options.items()]
    file.write_text("\n".join(lines))


@pytest.fixture(name="found", scope="module")
def _found(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Service, dict[str, Dependency]]]:
    folder = tmp_path_factory.mktemp("checks")
    with ExitStack() as stack:
        servers = dependencies(stack, folder)
        write_toml(folder / "checks.toml", {name: one.options for name, one in servers.items()})
        environ = {
            "CHECKS_FILE": str(folder / "checks.toml"),
            "SECRETS_DIR": str(folder),
            "RECONNECT_INTERVAL": "0.3",
            "DRAIN_SECONDS": "0",
        }
        service = stack.enter_context(running(environ, folder / "log"))
        for name in servers:
            service.until(name, None, 10)
        yield service, servers


def reasons(service: Service) -> dict[str, str | None]:
    """Return why each check fails, as JSON, page, metrics and the paths of the checks show it."""
    body = service.ask("/health").json["checks"]
    found = {name: one.get("reason") for name, one in body.items() if one["status"] == "fail"}
    page = service.ask("/health", Accept="text/html").body.decode()
    metrics = service.ask("/metrics").body.decode()
    text = service.ask("/health", Accept="text/plain").body.decode()
    for name, one in body.items():
        is_failing = one["status"] == "fail"
        assert (f"[-]{name} " in text) is is_failing
        assert service.ask(f"/health/checks/{name}").code == (503 if is_failing else 200)
        state = f'health_check_state{{check="{name}",state="fail"}} {float(is_failing)}'
        assert state in metrics
    for reason in found.values():
        assert f"<code>{reason}</code>" in page
    return found


NAMES = ["orders", "reporting", "sessions", "queue", "cache", "payments", "mail", "kafka"]


@pytest.mark.parametrize("name", NAMES)
def test_each_check_fails_and_recovers_alone(
    found: tuple[Service, dict[str, Dependency]], name: str
) -> None:
    """Within the bound of its own terms; an optional one leaves readiness alone."""
    service, servers = found
    one = servers[name]
    with one.broken():
        service.until(name, one.reason, one.bound)
        assert reasons(service) == {name: one.reason}
        assert service.ask("/health/ready").code == (
            503 if one.options.get("required", True) else 200
        )
    service.until(name, None, one.bound + RESTART)
    assert reasons(service) == {}


# Seconds that a killed server takes until it accepts connections again.
RESTART = 2.0


def test_the_start_is_logged_with_the_terms_of_each_check(
    found: tuple[Service, dict[str, Dependency]],
) -> None:
    service, servers = found
    events = map(json.loads, service.log.read_text().splitlines())
    started = next(event for event in events if event["event"] == "service started")
    kinds = ["postgresql"] * 2 + ["redis"] * 3 + ["http", "tcp", "tcp"]
    assert [(one["name"], one["kind"]) for one in started["checks"]] == list(
        zip(servers, kinds, strict=True)
    )
    assert [one["interval_s"] for one in started["checks"]] == [
        one.options.get("interval", 0.2) for one in servers.values()
    ]
