"""Passwords rotate while the service runs and answers a request every millisecond."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import admin, sql
from tests.support.replacing import Replacing, as_kubernetes, by_rename, in_place
from tests.support.service import Prober, Reply, Service, on, running


pytestmark = pytest.mark.alone

BOUND = 0.2 + 0.4 + 0.5
RECONNECT = 0.5

all_methods = pytest.mark.parametrize("replace", [in_place, by_rename, as_kubernetes])


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, own_postgres: Postgres, own_valkey: Valkey) -> Path:
    """Create a folder with both secrets, as it would be mounted."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    password = own_postgres.password_file.read_text()
    sql(
        own_postgres,
        "DROP ROLE IF EXISTS rotated",
        f"CREATE ROLE rotated LOGIN PASSWORD '{password}'",
    )
    (folder / "postgres_password").write_text(password)
    (folder / "redis_password").write_text(own_valkey.password_file.read_text())
    return folder


@pytest.fixture(name="service")
def _service(
    folder: Path, own_postgres: Postgres, own_valkey: Valkey, tmp_path: Path
) -> Iterator[Service]:
    environ = {
        **on(),
        "DATABASE_URL": own_postgres.url.replace("vitals@", "rotated@"),
        "REDIS_URL": own_valkey.url,
        "SECRETS_DIR": str(folder),
    }
    with running(environ, tmp_path / "log") as service:
        for name in ("postgres", "redis"):
            service.until(name, None, 5)
        yield service


def longest_outage(replies: list[Reply]) -> float:
    """Return the most seconds for which readiness failed without a break."""
    outages = [
        [reply.at for reply in group]
        for code, group in itertools.groupby(replies, lambda reply: reply.code)
        if code != 200
    ]
    return max((outage[-1] - outage[0] for outage in outages), default=0.0)


@all_methods
def test_a_postgres_password_rotates(
    service: Service, folder: Path, own_postgres: Postgres, replace: Replacing
) -> None:
    """A role has one password, so the check fails until the file has the new one."""
    with Prober(service, "/health/ready", pause=0.001) as prober:
        sql(own_postgres, "ALTER ROLE rotated PASSWORD 'new password'")
        service.until("postgres", "auth", BOUND + RECONNECT)
        replace(folder / "postgres_password", b"new password\n")
        service.until("postgres", None, BOUND)
    assert longest_outage(prober.replies) < BOUND
    assert service.process.poll() is None


@all_methods
def test_a_redis_password_rotates_without_a_failure(
    service: Service, folder: Path, own_valkey: Valkey, replace: Replacing
) -> None:
    """The file changes while both passwords are valid, so no answer fails."""
    old = own_valkey.password_file.read_text()
    with admin(own_valkey) as client, Prober(service, "/health/ready", pause=0.001) as prober:
        client.execute_command("ACL", "SETUSER", "default", ">new-password")
        # Start right after a new connection, as a file may be empty for a moment while written.
        await_other_connection(client, connection_ids(client))
        replace(folder / "redis_password", b"new-password")
        await_renewal(client)
        client.execute_command("ACL", "SETUSER", "default", f"<{old}")
        await_renewal(client)
        client.execute_command("ACL", "SETUSER", "default", f">{old}", "<new-password")
    assert {reply.code for reply in prober.replies} == {200}
    assert prober.replies


def await_renewal(client: Any) -> None:
    """Wait until the service has renewed its connection; it closes the old one first."""
    await_other_connection(client, await_other_connection(client, set()))


def await_other_connection(client: Any, known: set[str]) -> set[str]:
    """Wait until the service has a connection that is not in *known*, and return its ids."""
    deadline = time.monotonic() + 5
    while not (found := connection_ids(client) - known):
        assert time.monotonic() < deadline
    return found


def connection_ids(client: Any) -> set[str]:
    """Return the ids of the service's connections."""
    return {one["id"] for one in client.client_list() if one["name"] == "vitals"}
