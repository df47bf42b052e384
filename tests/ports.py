"""The ports that a worker's servers get, each once before any comes again."""

import contextlib
import functools
import itertools
import os
import random
import socket
from collections.abc import Iterator


# Below those of the embedded servers, which may be started by a process that is tested; Chromium
# opens no page on 10080.
PORTS = range(10100, 20000)


@functools.cache
def _of_this_worker() -> Iterator[int]:
    """Tell the ports that no other worker gets, in an order of this run's own."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = len(PORTS) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = PORTS[number * share :][:share]
    return itertools.cycle(random.sample(ports, len(ports)))


def free_port() -> int:
    """Find a port that nobody listens on, and that stays free until this test listens on it.

    It is none that the system hands out: to whoever asks for any, and to each client that
    connects, which might even meet itself there.
    """
    for port in _of_this_worker():
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError
