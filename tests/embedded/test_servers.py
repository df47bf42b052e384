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

from app.devservers import EmbeddedServerError, Postgres, Valkey, servers
from app.devservers.servers import Server, reserve
from tests.faults.servers import command, frozen, killed, signal_all, sql, tree
from tests.ports import free_port


KINDS = [Postgres, Valkey]


def write(server: Server) -> None:
    """Have a server remember something."""
    if isinstance(server, Postgres):
        sql(server, "CREATE TABLE kept ()")


def test_they_answer_with_the_password_and_not_without(postgres: Postgres, valkey: Valkey) -> None:
    """The password is really asked for."""
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
def test_no_process_shows_the_password(kind: Callable[[], Server]) -> None:
    """Neither in its arguments nor in its environment."""
    with kind() as server:
        password = server.password_file.read_text()
        leash = psutil.Process(server.pid).parent()
        assert leash
        for process in [leash, *tree(server)]:
            assert password not in " ".join([*process.cmdline(), *process.environ().values()])


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_was_killed_comes_back(kind: Callable[[], Server]) -> None:
    """On the same port, and PostgreSQL with the same data."""
    with kind() as server:
        port = server.port
        write(server)
        with killed(server), pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert (server.port, server.ready()) == (port, True)
        if isinstance(server, Postgres):
            assert sql(server, "TABLE kept") == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_closing_leaves_nothing(kind: Callable[[], Server]) -> None:
    """No process and no file, not even of a server that was frozen."""
    with kind() as server:
        doomed = tree(server)
        signal_all(server, signal.SIGSTOP)
    assert psutil.wait_procs(doomed, timeout=5)[1] == []
    assert not server.folder.exists()


OWNER = """
import sys, time
from app.devservers import Postgres, Valkey
with {kind}() as server:
    print(server.pid, server.folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["Postgres", "Valkey"])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_server_does_not_outlive_an_owner_that_was_killed(kind: str, *, stopped: bool) -> None:
    """Nor does its folder, nor one that was frozen."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER.format(kind=kind)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        pid, folder = owner.stdout.readline().split()
        server = psutil.Process(int(pid))
        doomed = [server, *server.children(recursive=True), *server.parents()[:1]]
        if stopped:
            for process in doomed[:-1]:
                process.suspend()
        owner.kill()
    assert psutil.wait_procs(doomed, timeout=15)[1] == []
    assert not Path(folder).exists()


def test_a_server_that_does_not_come_up_says_why() -> None:
    """The last line of its log is the message."""
    server = Valkey()
    server.arguments = ("--loglevel", "nonsense")
    with (
        pytest.raises(EmbeddedServerError, match=r"does not come up; it says: .*must be one of"),
        server,
    ):
        pass
    assert not server.folder.exists()


def test_a_frozen_server_goes_on(valkey: Valkey) -> None:
    """What is frozen thaws, and answers."""
    with frozen(valkey):
        assert psutil.Process(valkey.pid).status() == psutil.STATUS_STOPPED
    assert command(valkey, "PING")


def test_a_port_is_nobody_elses_before_it_is_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL takes a second to make its data, and a restart frees the port again."""
    with reserve() as reservation:
        port = reservation.getsockname()[1]
        monkeypatch.setattr(servers, "PORTS", range(port, port + 1))
        with pytest.raises(EmbeddedServerError, match=f"no port from {port} to {port} is free"):
            reserve()
    reserve().close()


def test_a_port_that_somebody_listens_on_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything left of the attempt."""
    port = free_port()
    monkeypatch.setattr(servers, "PORTS", range(port, port + 1))
    with socket.create_server(("127.0.0.1", port)), pytest.raises(EmbeddedServerError):
        reserve()
    reserve().close()
