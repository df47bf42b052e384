"""How late the event loop is, which is how late everything else would be."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator


# Seconds between two looks, and for how many of them the worst is told: no scrape misses it.
LOOK_EVERY = 0.25
TOLD_FOR = 60


class Lag:
    """The latest delays of the event loop beyond what was asked of it.

    Attributes:
        turns: how often the loop was looked at; it stays the same while the loop is blocked.

    """

    def __init__(self) -> None:
        self.turns = 0
        self._delays = deque([0.0], maxlen=int(TOLD_FOR / LOOK_EVERY))

    def worst(self) -> float:
        """Tell the longest delay of the last minute, in seconds."""
        return max(self._delays)

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Measure while the block runs."""
        loop = asyncio.get_running_loop()
        timer: asyncio.Handle

        def look(due: float) -> None:
            nonlocal timer
            now = loop.time()
            self.turns += 1
            self._delays.append(max(0.0, now - due))
            timer = loop.call_at(now + LOOK_EVERY, look, now + LOOK_EVERY)

        timer = loop.call_soon(look, loop.time())
        try:
            yield
        finally:
            timer.cancel()
