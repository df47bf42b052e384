"""Constant load on kept and new connections, with the outcome of each request."""

import http.client
import random
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import Self


# Seconds to wait for an answer.
TIMEOUT = 20

# Minimum and maximum seconds that the instance takes for a request, like a user's own route.
WORK = (0.05, 0.2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a request.

    Attributes:
        at: when it was sent, by `time.monotonic`.
        port: the instance that answered.
        failure: the error or unexpected answer.
    """

    at: float
    method: str
    port: int | None
    failure: str | None


class Load:
    """Clients that send requests to a proxy during a `with` block.

    Args:
        port: the proxy's port.
        kept: how many clients keep their connection. The same number connect for each request.
    """

    def __init__(self, port: int, kept: int) -> None:
        self._port = port
        self._done = threading.Event()
        self.outcomes: list[Outcome] = []
        self._threads = [
            threading.Thread(target=self._client, args=(keeps, number), daemon=True)
            for keeps in (True, False)
            for number in range(kept)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    @property
    def failures(self) -> list[Outcome]:
        """The requests that failed."""
        return [outcome for outcome in self.outcomes if outcome.failure]

    def answered(self, since: float) -> Counter[int | None]:
        """Return how many requests each instance has answered, of those sent after *since*."""
        return Counter(outcome.port for outcome in self.outcomes if outcome.at >= since)

    def _client(self, keeps: bool, seed: int) -> None:
        chance = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        while not self._done.is_set():
            method = chance.choice(["GET", "POST"])
            self.outcomes.append(self._outcome(connection, method, chance.uniform(*WORK)))
            if not keeps or self.outcomes[-1].failure:
                connection.close()
        connection.close()

    def _outcome(
        self, connection: http.client.HTTPConnection, method: str, seconds: float
    ) -> Outcome:
        at = time.monotonic()
        try:
            connection.request(method, f"/slow?seconds={seconds:.3f}", body=b"x" * 100)
            with closing(connection.getresponse()) as response:
                body = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return Outcome(at, method, None, f"{type(error).__name__}: {error}")
        if response.status != 200:
            return Outcome(at, method, None, f"{response.status}: {body[:200]}")
        return Outcome(at, method, int(body.strip('"')), None)
