"""Who asks, how often, and when last: by the name that each gives itself."""

from collections import deque
from dataclasses import dataclass

from app.health import Instant


# So many are told apart, by so much of a name; what comes beyond is counted together. One that
# has not asked for a while makes room, so that a flood of invented names hides nobody for long.
MAX_CLIENTS = 20
MAX_NAME_LENGTH = 64
FORGOTTEN_AFTER = 300
OTHERS = b"others"

# The latest requests of each, from which its rate is told.
REMEMBERED = 20


@dataclass(frozen=True, slots=True)
class Client:
    """One who asks.

    Attributes:
        rate: requests a second, over the latest ones; none after a single one.

    """

    name: str
    rate: float | None
    last: Instant


class Clients:
    """Everyone who has asked lately, in memory that does not grow."""

    def __init__(self) -> None:
        # Bytes and steady times, no text and no instants: this is done at each request, and told
        # to few.
        self._asked: dict[bytes, deque[float]] = {}

    def asked(self, name: bytes, now: float) -> None:
        """Take note of a request at *now*, a steady time."""
        (self._asked.get(name) or self._begin(name[:MAX_NAME_LENGTH], now)).append(now)

    def _begin(self, name: bytes, now: float) -> deque[float]:
        if name not in self._asked and len(self._asked) >= MAX_CLIENTS:
            name = self._make_room(name, now)
        return self._asked.setdefault(name, deque(maxlen=REMEMBERED))

    def _make_room(self, name: bytes, now: float) -> bytes:
        silent = min(self._asked, key=lambda known: self._asked[known][-1])
        if now - self._asked[silent][-1] < FORGOTTEN_AFTER:
            return OTHERS
        del self._asked[silent]
        return name

    def all(self, now: Instant) -> list[Client]:
        """Tell everyone, the latest first."""
        clients = [
            Client(
                name.decode("latin-1") or "no name",
                _rate(moments),
                now + (moments[-1] - now.steady),
            )
            for name, moments in self._asked.items()
        ]
        return sorted(clients, key=lambda client: client.last, reverse=True)


def _rate(moments: deque[float]) -> float | None:
    lasted = moments[-1] - moments[0]
    return (len(moments) - 1) / lasted if lasted > 0 else None
