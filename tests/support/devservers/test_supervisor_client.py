import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.devservers.servers import DevServer
from tests.support.faults.servers import freeze, tree
from tests.support.service import wait_for


pytestmark = pytest.mark.slow

KINDS = [Postgres, Valkey]

# Prints its server's folder, runs a statement, and waits to be killed.
OWNER = """
import time
from tests.support.devservers import *
from tests.support.faults.servers import kill
server = {kind}()
print(server.folder, flush=True)
server.start()
{statement}
print("ready", flush=True)
time.sleep(60)
"""


@contextmanager
def owner(
    kind: type[DevServer], statement: str = ""
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run a process with a server, yield it and the server's folder, then kill the process."""
    program = OWNER.format(kind=kind.__name__, statement=statement)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("kind", "statement"), [(Postgres, "server.stop()"), (Valkey, "kill(server)")]
)
def test_the_end_of_the_owner_removes_the_folder_of_a_server_that_does_not_run(
    kind: type[DevServer], statement: str
) -> None:
    with owner(kind, statement) as (process, folder):
        assert read_line(process) == "ready"
        assert folder.exists()
    wait_for(lambda: not folder.exists(), 10)


def test_an_owner_that_is_killed_during_initdb_leaves_nothing() -> None:
    with owner(Postgres) as (_, folder):
        wait_for((folder / "data" / "base").exists, 10)
    wait_for(lambda: not folder.exists(), 10)


def test_frozen_children_of_a_killed_postmaster_are_killed() -> None:
    """A frozen child does not notice that the postmaster is gone, and would prevent a restart."""
    with Postgres() as server:
        processes = tree(server)
        freeze(server)
        processes[0].kill()
        assert psutil.wait_procs(processes, timeout=5)[1] == []
        server.start()


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_server_stops_within_two_seconds(kind: type[DevServer]) -> None:
    """PostgreSQL alone would wait five seconds for its frozen children."""
    with kind() as server:
        freeze(server)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_does_not_reach_the_server(kind: type[DevServer]) -> None:
    """The terminal signals the foreground group of its session. The server has its own session."""
    with kind() as server:
        assert os.getsid(server.pid) != os.getsid(0)
