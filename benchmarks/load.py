"""Generates load: with wrk, or with connections that all open at once."""

import re
import selectors
import socket
import subprocess
import time
from dataclasses import dataclass

from benchmarks.process import SECOND, Server


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
REQUEST = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Sample:
    """Result of one load; all times in seconds.

    Attributes:
        rate: answers per second.
        cpu: the server's CPU time per request.
    """

    rate: float
    p50: float
    p99: float
    cpu: float


def wrk(server: Server, connections: int, seconds: float, *, keep_alive: bool = True) -> Sample:
    """Send requests as fast as possible over a number of connections."""
    header = () if keep_alive else ("--header", "Connection: close")
    command = [
        *("taskset", "--cpu-list", str(SECOND), "wrk", "--threads=1", "--latency"),
        *(f"--connections={connections}", f"--duration={seconds}s", *header, server.url),
    ]
    before = server.cpu
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = server.cpu - before
    requests = int(re.findall(r"(\d+) requests in", output)[0])
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])
    return Sample(rate, _latency(output, 50), _latency(output, 99), used / max(requests, 1))


def burst(server: Server, connections: int) -> float:
    """Send requests on connections that open at once; return the seconds to the last answer."""
    request = REQUEST % server.contender.path.encode()
    selector, started = selectors.DefaultSelector(), time.perf_counter()
    for _ in range(connections):
        connection = socket.socket()
        connection.setblocking(False)  # noqa: FBT003 - the signature of the standard library
        connection.connect_ex(("127.0.0.1", server.port))
        selector.register(connection, selectors.EVENT_WRITE)
    while selector.get_map():
        for key, events in selector.select():
            _handle_event(selector, key.fileobj, events, request)
    return time.perf_counter() - started


def _handle_event(
    selector: selectors.BaseSelector, connection: socket.socket, events: int, request: bytes
) -> None:
    if events & selectors.EVENT_WRITE:
        connection.send(request)
        selector.modify(connection, selectors.EVENT_READ)
    else:
        connection.recv(65536)
        selector.unregister(connection)
        connection.close()


def _latency(output: str, percent: int) -> float:
    (number, unit), *_ = re.findall(rf"\n\s+{percent}%\s+([\d.]+)(us|ms|s|m)", output)
    return float(number) * UNITS[unit]
