import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app.devservers import Postgres, Valkey
from app.devservers.servers import Server
from tests.embedded.waiting import until
from tests.faults.servers import freeze, tree


KINDS = [Postgres, Valkey]

# Prints the folder, does something to the server, and waits to be killed.
OWNER = """
import time
from app.devservers import *
from tests.faults.servers import kill
server = {kind}()
print(server.folder, flush=True)
server.start()
{deed}
print("ready", flush=True)
time.sleep(60)
"""


@contextmanager
def owner(kind: type[Server], deed: str = "") -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run a process that has a server, and kill it at the end; tell the folder."""
    program = OWNER.format(kind=kind.__name__, deed=deed)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def hears(process: subprocess.Popen[str]) -> str:
    """Read the next line that a process prints."""
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize(("kind", "deed"), [(Postgres, "server.stop()"), (Valkey, "kill(server)")])
def test_the_folder_goes_with_the_owner_also_when_no_server_runs(
    kind: type[Server], deed: str
) -> None:
    """One that is stopped, or was killed, is still on the leash."""
    with owner(kind, deed) as (process, folder):
        assert hears(process) == "ready"
        assert folder.exists()
    until(lambda: not folder.exists())


def test_an_owner_that_is_killed_while_the_data_are_made_leaves_nothing() -> None:
    """What makes them is on the leash, too."""
    with owner(Postgres) as (_, folder):
        until((folder / "data" / "base").exists)
    until(lambda: not folder.exists())


def test_orphans_do_not_survive_their_postmaster() -> None:
    """Not even frozen ones, which do not see that it is no more; so that it can start again."""
    with Postgres() as server:
        family = tree(server)
        freeze(server)
        family[0].kill()
        assert psutil.wait_procs(family, timeout=5)[1] == []
        server.start()


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_server_stops_as_soon_as_another(kind: type[Server]) -> None:
    """Left to itself, PostgreSQL gives its frozen children five seconds."""
    with kind() as server:
        freeze(server)
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_terminal_reaches_the_owner_alone(kind: type[Server]) -> None:
    """Ctrl-C goes to a session's foreground group, and the server is in another session."""
    with kind() as server:
        assert os.getsid(server.pid) != os.getsid(0)
