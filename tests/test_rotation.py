"""Passwords that are replaced while the service runs, under a request each millisecond."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.devservers import Postgres, Valkey
from tests.faults.servers import admin, sql
from tests.service import Prober, Reply, Service, on, running


pytestmark = pytest.mark.alone

BOUND = 0.2 + 0.4 + 0.5
RECONNECT = 0.5

Replace = Callable[[Path, str], None]


def in_place(file: Path, word: str) -> None:
    """As `vitals secrets rotate` and a shell's redirection do."""
    file.write_text(word)


def by_rename(file: Path, word: str) -> None:
    """As editors and configuration tools do; the folder is mounted, not the file."""
    new = file.with_name(".new")
    new.write_text(word)
    new.replace(file)


def by_kubernetes(file: Path, word: str) -> None:
    """As the kubelet does: a folder of its own for each version, and a link that is swapped."""
    folder = file.parent
    version = folder / f"..version-{len(list(folder.iterdir()))}"
    version.mkdir()
    (version / file.name).write_text(word)
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").replace(folder / "..data")
    if not file.is_symlink():
        file.unlink()
        file.symlink_to(Path("..data", file.name))


ways = pytest.mark.parametrize("replace", [in_place, by_rename, by_kubernetes])


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, own_postgres: Postgres, own_valkey: Valkey) -> Path:
    """A folder with both secrets, as it would be mounted."""
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


def reddest(replies: list[Reply]) -> float:
    """The longest stretch in which readiness said no, in seconds."""
    stretches = [
        [reply.at for reply in group]
        for code, group in itertools.groupby(replies, lambda reply: reply.code)
        if code != 200
    ]
    return max((stretch[-1] - stretch[0] for stretch in stretches), default=0.0)


@ways
def test_a_password_of_postgres_is_rotated(
    service: Service, folder: Path, own_postgres: Postgres, replace: Replace
) -> None:
    """A role has one password: red from the next connection to the file's turn, and no longer."""
    with Prober(service, "/health/ready", pause=0.001) as prober:
        sql(own_postgres, "ALTER ROLE rotated PASSWORD 'the next one'")
        service.until("postgres", "auth", BOUND + RECONNECT)
        replace(folder / "postgres_password", "the next one\n")
        service.until("postgres", None, BOUND)
    assert reddest(prober.replies) < BOUND
    assert service.process.poll() is None


@ways
def test_a_password_of_redis_is_rotated_without_red(
    service: Service, folder: Path, own_valkey: Valkey, replace: Replace
) -> None:
    """While both passwords are valid the file takes its turn, and nobody sees it."""
    old = own_valkey.password_file.read_text()
    with admin(own_valkey) as client, Prober(service, "/health/ready", pause=0.001) as prober:
        client.execute_command("ACL", "SETUSER", "default", ">the-next-one")
        # While it is written a file may be empty for a moment, which is nobody's to read.
        another(client, ids(client))
        replace(folder / "redis_password", "the-next-one")
        renewed(client)
        client.execute_command("ACL", "SETUSER", "default", f"<{old}")
        renewed(client)
        client.execute_command("ACL", "SETUSER", "default", f">{old}", "<the-next-one")
    assert {reply.code for reply in prober.replies} == {200}
    assert prober.replies


def renewed(client: Any) -> None:
    """Wait until the service has made a connection anew; ended the old one it has before that."""
    another(client, another(client, set()))


def another(client: Any, known: set[str]) -> set[str]:
    """Wait until the service has a connection that is none of these, and tell which."""
    deadline = time.monotonic() + 5
    while not (found := ids(client) - known):
        assert time.monotonic() < deadline
    return found


def ids(client: Any) -> set[str]:
    """The connections that the service has."""
    return {known["id"] for known in client.client_list() if known["name"] == "vitals"}
