import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis import AuthenticationError, Redis

from tests.support.devservers import EmbeddedServerError, Postgres, Valkey, servers
from tests.support.devservers.servers import DevServer, reserve
from tests.support.faults.servers import command, frozen, killed, signal_all, sql, tree
from tests.support.ports import free_port


pytestmark = pytest.mark.slow

KINDS = [Postgres, Valkey]


def write(server: DevServer) -> None:
    """Store data in a PostgreSQL server."""
    if isinstance(server, Postgres):
        sql(server, "CREATE TABLE kept ()")


def test_servers_accept_only_their_password(postgres: Postgres, valkey: Valkey) -> None:
    assert sql(postgres, "SELECT 1")[0] == [(1,)]
    assert command(valkey, "PING")
    file = postgres.password_file
    right = file.read_text()
    file.chmod(0o644)
    file.write_text("another")
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            sql(postgres, "SELECT 1")
    finally:
        file.write_text(right)
    with (
        Redis(port=valkey.port, password=right[::-1]) as client,
        pytest.raises(AuthenticationError),
    ):
        client.ping()


@pytest.mark.parametrize("kind", KINDS)
def test_no_process_has_the_password_in_its_arguments_or_environment(
    kind: Callable[[], DevServer],
) -> None:
    with kind() as server:
        password = server.password_file.read_text()
        supervisor = psutil.Process(server.pid).parent()
        assert supervisor
        for process in [supervisor, *tree(server)]:
            assert password not in " ".join([*process.cmdline(), *process.environ().values()])


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_server_restarts_on_the_same_port_with_its_data(
    kind: Callable[[], DevServer],
) -> None:
    with kind() as server:
        port = server.port
        write(server)
        with killed(server), pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert (server.port, server.ready()) == (port, True)
        if isinstance(server, Postgres):
            assert sql(server, "TABLE kept") == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_close_leaves_no_process_and_no_file_of_a_frozen_server(
    kind: Callable[[], DevServer],
) -> None:
    with kind() as server:
        processes = tree(server)
        signal_all(server, signal.SIGSTOP)
    assert psutil.wait_procs(processes, timeout=5)[1] == []
    assert not server.folder.exists()


OWNER = """
import sys, time
from tests.support.devservers import Postgres, Valkey
with {kind}() as server:
    print(server.pid, server.folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["Postgres", "Valkey"])
@pytest.mark.parametrize("suspended", [False, True])
def test_a_server_and_its_folder_are_removed_when_the_owner_is_killed(
    kind: str, *, suspended: bool
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER.format(kind=kind)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        pid, folder = owner.stdout.readline().split()
        server = psutil.Process(int(pid))
        processes = [server, *server.children(recursive=True), *server.parents()[:1]]
        if suspended:
            for process in processes[:-1]:
                process.suspend()
        owner.kill()
    assert psutil.wait_procs(processes, timeout=15)[1] == []
    assert not Path(folder).exists()


def test_the_error_for_a_server_that_does_not_start_quotes_its_log() -> None:
    server = Valkey()
    server.arguments = ("--loglevel", "nonsense")
    with (
        pytest.raises(
            EmbeddedServerError, match=r"does not start\. Its log ends: .*must be one of"
        ),
        server,
    ):
        pass
    assert not server.folder.exists()


def test_a_frozen_server_answers_again_after_it_is_resumed(valkey: Valkey) -> None:
    with frozen(valkey):
        assert psutil.Process(valkey.pid).status() == psutil.STATUS_STOPPED
    assert command(valkey, "PING")


def test_a_reserved_port_is_not_reserved_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL needs a second before it listens, and a restart frees the port for a moment."""
    with reserve() as reservation:
        port = reservation.getsockname()[1]
        monkeypatch.setattr(servers, "PORTS", range(port, port + 1))
        with pytest.raises(EmbeddedServerError, match=f"no port from {port} to {port} is free"):
            reserve()
    reserve().close()


def test_a_port_with_a_listener_is_not_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failed attempt releases the UDP port."""
    port = free_port()
    monkeypatch.setattr(servers, "PORTS", range(port, port + 1))
    with socket.create_server(("127.0.0.1", port)), pytest.raises(EmbeddedServerError):
        reserve()
    reserve().close()
