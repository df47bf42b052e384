"""Free ports for a test worker, each used once before any is used again."""

import contextlib
import functools
import itertools
import os
import random
import socket
from collections.abc import Iterator


# Below the ports of the embedded servers, which a tested process may start. Chromium opens no page
# on port 10080.
PORTS = range(10100, 20000)


@functools.cache
def _worker_ports() -> Iterator[int]:
    """Return the ports of this worker in random order."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = len(PORTS) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = PORTS[number * share :][:share]
    return itertools.cycle(random.sample(ports, len(ports)))


def free_port() -> int:
    """Return a port that is free, and stays free until this test listens on it.

    It is outside the range of ephemeral ports. The system gives one of those to any server that
    asks for a free port, and to each client, which could even connect to itself.
    """
    for port in _worker_ports():
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError
