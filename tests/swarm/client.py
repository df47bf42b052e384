"""A client in the network of the Swarm service, which caches DNS answers as proxies do.

It runs in a container that has only Python, until its standard input ends, then prints its results.
"""

import http.client
import json
import random
import select
import socket
import sys
import threading
import time


NAME, PORT = "backend", 8000

# Seconds.
MAX_DURATION = 600.0
PAUSE = 0.01


class Client(threading.Thread):
    """Sends requests to one of the service's addresses until *stop* is set.

    Args:
        path: the requested path. Any status code but 200 is a failure.
        ttl: how many seconds it caches the addresses.
        keep: whether it reuses a connection until the server closes it.
    """

    def __init__(self, stop: threading.Event, path: str, ttl: float, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.answers = 0
        self.seen = set[str]()
        self.failures: list[str] = []
        self._stop_event = stop
        self._ttl = ttl
        self._keep = keep
        self._cached: list[str] = []
        self._cached_at = float("-inf")
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Send requests."""
        while not self._stop_event.wait(PAUSE):
            try:
                self._request()
            except (OSError, http.client.HTTPException) as error:
                self._record_failure(repr(error))

    def _request(self) -> None:
        if self._connection is None:
            address = random.choice(self._addresses())
            self._connection = http.client.HTTPConnection(address, PORT, timeout=5)
        connection = self._connection
        connection.request("GET", self.path)
        response = connection.getresponse()
        body = response.read()
        self.answers += 1
        self.seen.add(connection.host)
        if response.status != http.client.OK:
            self._record_failure(f"{response.status} {body.decode()}")
        elif not self._keep or response.will_close:
            self._close()

    def _addresses(self) -> list[str]:
        if time.monotonic() > self._cached_at + self._ttl:
            found = socket.getaddrinfo(NAME, PORT, socket.AF_INET, socket.SOCK_STREAM)
            self._cached = [str(address[0]) for *_, address in found]
            self._cached_at = time.monotonic()
        return self._cached

    def _record_failure(self, failure: str) -> None:
        host = self._connection.host if self._connection else NAME
        self.failures.append(f"{time.time():.3f} {self.path} at {host}: {failure}")
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def main() -> None:
    """Run the clients until standard input ends, and print their results as JSON."""
    ttl = float(sys.argv[1])
    stop = threading.Event()
    clients = [
        Client(stop, "/health/live", ttl, keep=False),
        Client(stop, "/health/live", ttl, keep=True),
        Client(stop, "/health/ready", 1.0, keep=False),
    ]
    for client in clients:
        client.start()
    select.select([sys.stdin], [], [], MAX_DURATION)
    stop.set()
    for client in clients:
        client.join()
    results = {
        "answers": [client.answers for client in clients],
        "addresses": sorted(set().union(*(client.seen for client in clients))),
        "failures": [failure for client in clients for failure in client.failures],
    }
    json.dump(results, sys.stdout)


main()
