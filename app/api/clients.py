"""Recent clients: their names, rates and last requests."""

from collections import deque
from dataclasses import dataclass

from app.health import Instant


# Clients that are listed separately, and the characters of their names; further clients are
# listed together. A client that has been silent for some seconds makes room for a new one, so a
# flood of invented names does not hide real clients for long.
MAX_CLIENTS = 20
MAX_NAME_LENGTH = 64
FORGET_AFTER = 300
OTHERS = b"others"

# The latest requests of each client, from which its rate is computed.
MAX_REQUESTS = 20


@dataclass(frozen=True, slots=True)
class Client:
    """A client, by its `User-Agent`. Its rate per second is None after a single request."""

    name: str
    rate: float | None
    last_seen: Instant


class Clients:
    """The clients of the last minutes, in bounded memory."""

    def __init__(self) -> None:
        # Raw bytes and steady times: written on every request, rarely read.
        self._requests: dict[bytes, deque[float]] = {}

    def record(self, name: bytes, now: float) -> None:
        """Record a request at *now*, a steady time."""
        (self._requests.get(name) or self._add(name[:MAX_NAME_LENGTH], now)).append(now)

    def _add(self, name: bytes, now: float) -> deque[float]:
        if name not in self._requests and len(self._requests) >= MAX_CLIENTS:
            name = self._make_room(name, now)
        return self._requests.setdefault(name, deque(maxlen=MAX_REQUESTS))

    def _make_room(self, name: bytes, now: float) -> bytes:
        """Remove the client that has been silent longest; return the name to list *name* under."""
        silent = min(self._requests, key=lambda one: self._requests[one][-1])
        if now - self._requests[silent][-1] < FORGET_AFTER:
            return OTHERS
        del self._requests[silent]
        return name

    def all(self, now: Instant) -> list[Client]:
        """Return all clients, the latest first."""
        clients = [_client(name, times, now) for name, times in self._requests.items()]
        return sorted(clients, key=lambda client: client.last_seen, reverse=True)


def _client(name: bytes, times: deque[float], now: Instant) -> Client:
    seconds = times[-1] - times[0]
    rate = (len(times) - 1) / seconds if seconds > 0 else None
    return Client(name.decode("latin-1") or "no name", rate, now + (times[-1] - now.steady))
