"""A client inside a fleet's network, which believes a name's addresses for a while, as proxies do.

It runs in a container, with nothing but Python, until its input ends, and tells what it has seen.
"""

import http.client
import json
import random
import socket
import sys
import threading
import time


NAME, PORT = "backend", 8000
LONGEST = 600.0
PAUSE = 0.01


class Asker(threading.Thread):
    """Asks one of the addresses that it knows, over and over.

    Args:
        path: what it asks for; all but 200 is a failure.
        hold: for how long it believes an address that the name no longer gives.
        keep: whether it goes on asking on one connection until it is told to close it.

    """

    def __init__(self, over: threading.Event, path: str, hold: float, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.answers = 0
        self.seen = set[str]()
        self.failures: list[str] = []
        self._over = over
        self._hold = hold
        self._keep = keep
        self._known: list[str] = []
        self._known_at = float("-inf")
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Ask."""
        while not self._over.wait(PAUSE):
            try:
                self._ask()
            except (OSError, http.client.HTTPException) as error:
                self._failed(repr(error))

    def _ask(self) -> None:
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
            self._failed(f"{response.status} {body.decode()}")
        elif not self._keep or response.will_close:
            self._leave()

    def _addresses(self) -> list[str]:
        if time.monotonic() > self._known_at + self._hold:
            told = socket.getaddrinfo(NAME, PORT, socket.AF_INET, socket.SOCK_STREAM)
            self._known = [str(address[0]) for *_, address in told]
            self._known_at = time.monotonic()
        return self._known

    def _failed(self, how: str) -> None:
        whom = self._connection.host if self._connection else NAME
        self.failures.append(f"{time.time():.3f} {self.path} at {whom}: {how}")
        self._leave()

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def end_with_input(over: threading.Event) -> None:
    """Wait for the end of the input, which is the end."""
    sys.stdin.read()
    over.set()


def main() -> None:
    """Ask until the input ends, and tell how it went."""
    hold = float(sys.argv[1])
    over = threading.Event()
    askers = [
        Asker(over, "/health/live", hold, keep=False),
        Asker(over, "/health/live", hold, keep=True),
        Asker(over, "/health/ready", 1.0, keep=False),
    ]
    for asker in askers:
        asker.start()
    threading.Thread(target=end_with_input, args=[over], daemon=True).start()
    over.wait(LONGEST)
    over.set()
    for asker in askers:
        asker.join()
    told = {
        "answers": [asker.answers for asker in askers],
        "addresses": sorted(set().union(*(asker.seen for asker in askers))),
        "failures": [failure for asker in askers for failure in asker.failures],
    }
    json.dump(told, sys.stdout)


main()
