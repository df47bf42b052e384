"""The connections of a server: how many there may be, and how long one may be idle."""

import math
import resource
from typing import Any, Protocol


# Seconds without a whole request, or in which an answer is not taken.
IDLE_TIMEOUT = 10.0

# Connections; those that ask nothing hold some 3 KB each.
MAX_CONNECTIONS = 4096

# Descriptors for everything else: look-ups that hang have some 200, and each check a few.
RESERVED = 320


class Connection(Protocol):
    """What holds a connection: one protocol or the other."""

    transport: Any

    @property
    def since(self) -> float:
        """Since when nobody is being answered, by the event loop's clock; infinity: somebody is."""
        ...


class Connections(set[Any]):
    """The open connections, in the set that uvicorn keeps.

    Whoever asks at once is answered, however many there are who don't: where there are too many,
    those go who have waited longest.

    Args:
        most: how many there may be.

    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def add(self, connection: Connection) -> None:
        """Let in, and make room for a good many more where there are too many."""
        if len(self) >= self._most:
            for one in sorted(self, key=lambda one: one.since)[: self._most // 10 + 1]:
                self._send_away(one, math.inf)
        super().add(connection)

    def close_idle(self, now: float) -> None:
        """Send away whoever has waited for too long, or has made us wait."""
        for one in list(self):
            self._send_away(one, now - IDLE_TIMEOUT)

    def _send_away(self, connection: Connection, before: float) -> None:
        if connection.since < before:
            self.discard(connection)
            connection.transport.abort()


def connection_limit() -> int:
    """Tell how many connections there may be, and see to the descriptors that they take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + RESERVED
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MAX_CONNECTIONS, max(soft - RESERVED, soft // 2))
