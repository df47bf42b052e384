"""A name server that can refuse or never answer, and a way to make a program's libc ask it."""

import contextlib
import enum
import errno
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


HEADER = struct.Struct("!6H")  # id, flags, and how many questions, answers and others follow
RESPONSE = 0x8180  # flags: this is a response, recursion desired and available
RECORD = struct.Struct("!H4sIH4s")  # name, type and class, time to live, length, address
SAME_NAME = 0xC000 + HEADER.size  # a pointer to the question's name
A_IN = b"\0\1\0\1"  # type A, class IN

# In a mount namespace of the program's own, put files over those that libc reads, then become the
# program. The files live in memory and end with the namespace.
BECOME = r"""
set -e
mount -t tmpfs tmpfs /tmp
printf '%s\n' "$1" > /tmp/resolv.conf
printf 'hosts: files dns\n' > /tmp/nsswitch.conf
for name in resolv.conf nsswitch.conf; do mount --bind "/tmp/$name" "/etc/$name"; done
umount /tmp
shift
exec "$@"
"""


class Manner(enum.Enum):
    """How queries are treated; the value is the RCODE of the answer, if there is one."""

    ANSWER = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSED = 5
    SILENT = None


class NameServer(socketserver.UDPServer):
    """Answers A queries for the names that it knows.

    Another type of a known name gets an empty answer, an unknown name NXDOMAIN.

    Args:
        host: where to listen.
        port: libc asks 53 and no other.
        records: names and their IPv4 addresses.

    Attributes:
        host: where it listens.
        manner: how queries are treated; may be changed at any time.
        queries: how many have come; libc sends two for a look-up, A and AAAA.

    """

    def __init__(self, host: str, port: int, records: Mapping[str, str]) -> None:
        super().__init__((host, port), socketserver.BaseRequestHandler)
        self.host = host
        self.manner = Manner.ANSWER
        self.queries = 0
        self._records = records

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Count a query, and answer it if that is the manner."""
        query, connection = request
        self.queries += 1
        rcode = self.manner.value
        if rcode is not None:
            connection.sendto(self._answer(query, rcode), client_address)

    def _answer(self, query: bytes, rcode: int) -> bytes:
        end = query.index(0, HEADER.size) + 1
        question = query[HEADER.size : end + 4]
        address = self._records.get(_name(question))
        if address is None:
            rcode = rcode or Manner.NXDOMAIN.value
        record = b""
        if address and not rcode and question[-4:] == A_IN:
            record = RECORD.pack(SAME_NAME, A_IN, 0, 4, socket.inet_aton(address))
        identity = int.from_bytes(query[:2])
        header = HEADER.pack(identity, RESPONSE | rcode, 1, bool(record), 0, 0)
        return header + question + record


@contextlib.contextmanager
def name_server(records: Mapping[str, str], port: int = 53) -> Iterator[NameServer]:
    """Run a name server on a free address of 127.0.53.0/24, on a thread of its own."""
    with _on_a_free_address(records, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="name server")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def command(
    argv: Sequence[str], nameserver: str, *, timeout: int = 5, attempts: int = 2
) -> list[str]:
    """Return the command that runs a program whose libc asks this name server and no other.

    The process that it starts becomes the program, so signals and exit code are the program's;
    nothing changes for any other process.

    Args:
        argv: the program and its arguments.
        nameserver: the address; the port is 53.
        timeout: seconds that libc waits for each answer.
        attempts: how many times it asks.

    """
    options = f"timeout:{timeout} attempts:{attempts}"
    conf = f"nameserver {nameserver}\nsearch .\noptions {options}"
    return ["unshare", "--mount", "sh", "-c", BECOME, "sh", conf, *argv]


def unavailable() -> str | None:
    """Tell why no program can be given a name server here; None if one can."""
    if not shutil.which("unshare"):
        return "NAME SERVER TESTS SKIPPED: they need unshare, of Linux"
    trial = command(["true"], "127.0.53.1")
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    why = f"NAME SERVER TESTS SKIPPED: only root can make them: {tried.stderr.strip()}"
    return why if tried.returncode else None


def _on_a_free_address(records: Mapping[str, str], port: int) -> NameServer:
    for last in range(1, 255):
        try:
            return NameServer(f"127.0.53.{last}", port, records)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"port {port} is taken on every address of 127.0.53.0/24")


def _name(question: bytes) -> str:
    labels, at = [], 0
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return ".".join(labels).lower()
