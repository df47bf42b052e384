import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults.nameserver import Manner, NameServer, command, name_server, unavailable


ADDRESS = "127.0.0.9"
RECORDS = {"db.test": ADDRESS}

# Looks up each name that it reads, and prints its addresses or the error number.
PROGRAM = """
import socket, sys
for name in sys.stdin:
    try:
        found = socket.getaddrinfo(name.strip(), 5432, type=socket.SOCK_STREAM)
        print(*(address[0] for *_, address in found), flush=True)
    except socket.gaierror as error:
        print(error.errno, flush=True)
"""


class Program:
    """A process that resolves names through its libc."""

    def __init__(self, nameserver: str) -> None:
        self.process = subprocess.Popen(
            command([sys.executable, "-c", PROGRAM], nameserver, timeout=2),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def look_up(self, name: str) -> None:
        """Start a look-up."""
        assert self.process.stdin
        self.process.stdin.write(f"{name}\n".encode())

    def result(self, within: float = 5) -> str | None:
        """Return the addresses or the error number; None if there is neither in time."""
        assert self.process.stdout
        if select.select([self.process.stdout], [], [], within)[0]:
            return self.process.stdout.readline().decode().strip()
        return None


@pytest.fixture
def server() -> Iterator[NameServer]:
    """A name server."""
    if reason := unavailable():
        pytest.skip(reason)
    with name_server(RECORDS) as server:
        yield server


@pytest.fixture
def program(server: NameServer) -> Iterator[Program]:
    """A program that uses that name server."""
    program = Program(server.host)
    with program.process as process:
        yield program
        process.kill()


def test_a_known_name_resolves_to_its_address(server: NameServer, program: Program) -> None:
    """Case does not matter. libc also asks for an AAAA record, and finds none."""
    program.look_up("DB.test")
    assert program.result() == ADDRESS
    assert server.queries == 2


def test_another_record_type_of_a_known_name_gets_an_empty_answer() -> None:
    """NOERROR, one question, no answer. The server's thread ends with the block."""
    threads = set(threading.enumerate())
    question = b"\2db\4test\0" + b"\0\x1c\0\1"
    with name_server(RECORDS, port=0) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"ID\1\0\0\1\0\0\0\0\0\0" + question, server.server_address)
        assert client.recv(512) == b"ID\x81\x80\0\1\0\0\0\0\0\0" + question
    assert threads.issuperset(threading.enumerate())


def test_an_unknown_name_gets_nxdomain(program: Program) -> None:
    """The program sees `EAI_NONAME`."""
    program.look_up("unknown.test")
    assert program.result() == str(socket.EAI_NONAME)


@pytest.mark.parametrize(
    ("manner", "error"),
    [
        (Manner.REFUSED, socket.EAI_AGAIN),
        (Manner.SERVFAIL, socket.EAI_AGAIN),
        (Manner.NXDOMAIN, socket.EAI_NONAME),
    ],
)
def test_a_look_up_fails_until_the_repair(
    server: NameServer, program: Program, manner: Manner, error: int
) -> None:
    """The error is libc's for this RCODE, and libc caches no failure."""
    server.manner = manner
    program.look_up("db.test")
    assert program.result() == str(error)
    server.manner = Manner.ANSWER
    program.look_up("db.test")
    assert program.result() == ADDRESS


def test_a_look_up_hangs_while_the_server_is_silent(server: NameServer, program: Program) -> None:
    """It returns an address when libc retries after the repair."""
    server.manner = Manner.SILENT
    program.look_up("db.test")
    while not server.queries:  # the program may take a while to start
        assert program.process.poll() is None
        time.sleep(0.01)
    assert program.result(within=1) is None
    server.manner = Manner.ANSWER
    assert program.result() == ADDRESS


def test_the_started_process_execs_the_program(program: Program) -> None:
    """Signals reach the program directly, and the exit code is its own."""
    program.look_up("db.test")
    assert program.result()
    assert b"getaddrinfo" in Path(f"/proc/{program.process.pid}/cmdline").read_bytes()
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(5) == -signal.SIGTERM


def test_only_the_program_sees_its_resolver_configuration(
    server: NameServer, program: Program
) -> None:
    """Other processes keep theirs, and the temporary mount is gone."""
    program.look_up("db.test")
    assert program.result()
    of_program = Path(f"/proc/{program.process.pid}")
    expected = f"nameserver {server.host}\nsearch .\noptions timeout:2 attempts:2\n"
    assert (of_program / "root/etc/resolv.conf").read_text() == expected
    assert Path("/etc/resolv.conf").read_text() != expected
    assert " /tmp tmpfs " not in (of_program / "mounts").read_text()
