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

from tests.faults.nameserver import Manner, NameServer, command, name_server, unavailable


ADDRESS = "127.0.0.9"
RECORDS = {"db.test": ADDRESS}

# Looks up the names that it reads, and says what becomes of each.
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
    """A process that looks names up through its libc."""

    def __init__(self, nameserver: str) -> None:
        self.process = subprocess.Popen(
            command([sys.executable, "-c", PROGRAM], nameserver, timeout=2),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def looks_up(self, name: str) -> None:
        """Have it start a look-up."""
        assert self.process.stdin
        self.process.stdin.write(f"{name}\n".encode())

    def says(self, within: float = 5) -> str | None:
        """Tell what became of the look-up; nothing within that many seconds is None."""
        assert self.process.stdout
        if select.select([self.process.stdout], [], [], within)[0]:
            return self.process.stdout.readline().decode().strip()
        return None


@pytest.fixture
def server() -> Iterator[NameServer]:
    """A name server that programs can be made to ask."""
    if why_not := unavailable():
        pytest.skip(why_not)
    with name_server(RECORDS) as server:
        yield server


@pytest.fixture
def program(server: NameServer) -> Iterator[Program]:
    """A program that asks that server."""
    program = Program(server.host)
    with program.process as process:
        yield program
        process.kill()


def test_a_known_name_has_its_address(server: NameServer, program: Program) -> None:
    """Whatever its case; libc asks for an AAAA record too and finds none."""
    program.looks_up("DB.test")
    assert program.says() == ADDRESS
    assert server.queries == 2


def test_another_type_of_a_known_name_has_an_empty_answer() -> None:
    """NOERROR, one question, no answer; and with the block the server's thread ends."""
    threads = set(threading.enumerate())
    question = b"\2db\4test\0" + b"\0\x1c\0\1"
    with name_server(RECORDS, port=0) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"ID\1\0\0\1\0\0\0\0\0\0" + question, server.server_address)
        assert client.recv(512) == b"ID\x81\x80\0\1\0\0\0\0\0\0" + question
    assert threads.issuperset(threading.enumerate())


def test_an_unknown_name_is_denied(program: Program) -> None:
    """NXDOMAIN."""
    program.looks_up("nobody.test")
    assert program.says() == str(socket.EAI_NONAME)


@pytest.mark.parametrize(
    ("manner", "error"),
    [
        (Manner.REFUSED, socket.EAI_AGAIN),
        (Manner.SERVFAIL, socket.EAI_AGAIN),
        (Manner.NXDOMAIN, socket.EAI_NONAME),
    ],
)
def test_a_refused_look_up_fails_until_the_repair(
    server: NameServer, program: Program, manner: Manner, error: int
) -> None:
    """The error is the one that libc has for it; nothing of it is remembered."""
    server.manner = manner
    program.looks_up("db.test")
    assert program.says() == str(error)
    server.manner = Manner.ANSWER
    program.looks_up("db.test")
    assert program.says() == ADDRESS


def test_a_look_up_hangs_while_the_server_is_silent(server: NameServer, program: Program) -> None:
    """It ends with an address when libc asks again after the repair."""
    server.manner = Manner.SILENT
    program.looks_up("db.test")
    while not server.queries:  # it may take a while to start
        assert program.process.poll() is None
        time.sleep(0.01)
    assert program.says(within=1) is None
    server.manner = Manner.ANSWER
    assert program.says() == ADDRESS


def test_the_process_started_becomes_the_program(program: Program) -> None:
    """Signals reach it with nothing in between, and its end is the one that is seen."""
    program.looks_up("db.test")
    assert program.says()
    assert b"getaddrinfo" in Path(f"/proc/{program.process.pid}/cmdline").read_bytes()
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(5) == -signal.SIGTERM


def test_only_the_program_sees_its_configuration(server: NameServer, program: Program) -> None:
    """Everybody else's stay, and the mount point it was made with is free again."""
    program.looks_up("db.test")
    assert program.says()
    of_program = Path(f"/proc/{program.process.pid}")
    expected = f"nameserver {server.host}\nsearch .\noptions timeout:2 attempts:2\n"
    assert (of_program / "root/etc/resolv.conf").read_text() == expected
    assert Path("/etc/resolv.conf").read_text() != expected
    assert " /tmp tmpfs " not in (of_program / "mounts").read_text()
