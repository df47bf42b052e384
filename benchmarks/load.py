"""The load: wrk, and connections that are opened all at once."""

import re
import selectors
import socket
import subprocess
import time
from dataclasses import dataclass

from benchmarks.process import SECOND, Running


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
REQUEST = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Sample:
    """What came of some seconds of load; times in seconds.

    Attributes:
        cpu: the server's processor time for a request.

    """

    rate: float
    p50: float
    p99: float
    cpu: float


def wrk(server: Running, connections: int, seconds: float, *, kept: bool = True) -> Sample:
    """Ask as fast as so many connections can."""
    header = () if kept else ("--header", "Connection: close")
    command = [
        *("taskset", "--cpu-list", str(SECOND), "wrk", "--threads=1", "--latency"),
        *(f"--connections={connections}", f"--duration={seconds}s", *header, server.url),
    ]
    before = server.cpu
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = server.cpu - before
    requests = int(re.findall(r"(\d+) requests in", told)[0])
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", told)[0])
    return Sample(rate, _latency(told, 50), _latency(told, 99), used / max(requests, 1))


def burst(server: Running, connections: int) -> float:
    """Open connections all at once, ask on each, and tell when the last has its answer."""
    request = REQUEST % server.contender.path.encode()
    selector, begun = selectors.DefaultSelector(), time.perf_counter()
    for _ in range(connections):
        connection = socket.socket()
        connection.setblocking(False)  # noqa: FBT003 - as the library has it
        connection.connect_ex(("127.0.0.1", server.port))
        selector.register(connection, selectors.EVENT_WRITE)
    while selector.get_map():
        for key, events in selector.select():
            _step(selector, key.fileobj, events, request)
    return time.perf_counter() - begun


def _step(
    selector: selectors.BaseSelector, connection: socket.socket, events: int, request: bytes
) -> None:
    if events & selectors.EVENT_WRITE:
        connection.send(request)
        selector.modify(connection, selectors.EVENT_READ)
    else:
        connection.recv(65536)
        selector.unregister(connection)
        connection.close()


def _latency(told: str, percent: int) -> float:
    (number, unit), *_ = re.findall(rf"\n\s+{percent}%\s+([\d.]+)(us|ms|s|m)", told)
    return float(number) * UNITS[unit]
