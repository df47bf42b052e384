"""A name server that can refuse or ignore queries, and a way to make a program's libc use it."""

import contextlib
import enum
import errno
import shutil
import socket
import socketserver
import struct
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.serving import serving


HEADER = struct.Struct("!6H")  # id, flags, and the numbers of questions, answers and other records
RESPONSE = 0x8180  # flags: this is a response, recursion desired and available
RECORD = struct.Struct("!H4sIH4s")  # name, type and class, time to live, length, address
SAME_NAME = 0xC000 + HEADER.size  # a pointer to the name in the question
A_IN = b"\0\1\0\1"  # type A, class IN

# In a new mount namespace, mount files over those that libc reads, then exec the program. The files
# live in memory and disappear with the namespace.
EXEC_IN_NAMESPACE = r"""
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
    """How the server treats queries; the value is the RCODE of the answer, None for no answer."""

    ANSWER = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSED = 5
    SILENT = None


class NameServer(socketserver.UDPServer):
    """Answers A queries from a table.

    Other query types get an empty answer, unknown names get NXDOMAIN.

    Args:
        host: address to listen on.
        port: port to listen on; libc only uses 53.
        records: IPv4 address of each name.

    Attributes:
        host: the listening address.
        manner: how the server treats queries; may change at any time.
        queries: number of queries received; libc sends two for a look-up, A and AAAA.
    """

    def __init__(self, host: str, port: int, records: Mapping[str, str]) -> None:
        super().__init__((host, port), socketserver.BaseRequestHandler)
        self.host = host
        self.manner = Manner.ANSWER
        self.queries = 0
        self._records = {_encode(name): address for name, address in records.items()}

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Count a query, and answer it unless the server is silent."""
        query, connection = request
        self.queries += 1
        rcode = self.manner.value
        if rcode is not None:
            connection.sendto(self._answer(query, rcode), client_address)

    def _answer(self, query: bytes, rcode: int) -> bytes:
        end = query.index(0, HEADER.size) + 1
        question = query[HEADER.size : end + 4]
        address = self._records.get(question[:-4].lower())
        if address is None:
            rcode = rcode or Manner.NXDOMAIN.value
        record = b""
        if address and not rcode and question[-4:] == A_IN:
            record = RECORD.pack(SAME_NAME, A_IN, 0, 4, socket.inet_aton(address))
        identity = int.from_bytes(query[:2])
        header = HEADER.pack(identity, RESPONSE | rcode, 1, bool(record), 0, 0)
        return header + question + record


def name_server(
    records: Mapping[str, str], port: int = 53
) -> contextlib.AbstractContextManager[NameServer]:
    """Run a name server on a free address of 127.0.53.0/24, in a thread."""
    for last in range(1, 255):
        try:
            return serving(NameServer(f"127.0.53.{last}", port, records))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(f"port {port} can't be used on any address of 127.0.53.0/24")


def command(
    argv: Sequence[str], nameserver: str, *, timeout: int = 5, attempts: int = 2
) -> list[str]:
    """Return the command that runs a program whose libc uses only this name server.

    The started process execs the program, so signals and exit code are the program's. No other
    process is affected.

    Args:
        argv: the program and its arguments.
        nameserver: address of the name server; the port is 53.
        timeout: seconds that libc waits for each answer.
        attempts: number of queries before libc gives up.
    """
    options = f"timeout:{timeout} attempts:{attempts}"
    conf = f"nameserver {nameserver}\nsearch .\noptions {options}"
    return ["unshare", "--mount", "sh", "-c", EXEC_IN_NAMESPACE, "sh", conf, *argv]


def unavailable() -> str | None:
    """Return why programs can't use this name server here; None if they can."""
    if not shutil.which("unshare"):
        return "NAME SERVER TESTS SKIPPED: they need `unshare` on Linux"
    trial = command(["true"], "127.0.53.1")
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    why = f"NAME SERVER TESTS SKIPPED: they need root: {tried.stderr.strip()}"
    return why if tried.returncode else None


def _encode(name: str) -> bytes:
    """Return a name as in a query: its labels, each after its length, and an empty one."""
    return b"".join(bytes([len(label)]) + label for label in f"{name}.".encode().split(b"."))
