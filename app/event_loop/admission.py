"""Requests begin one after another, so that no number of them holds up the event loop."""

import asyncio
import time


# Seconds that a request may take from the loop before others are let in between.
SHORT = 0.002


class Admission:
    """Admits one request in each turn of the event loop, in the order of their arrival.

    The loop would otherwise begin all that have arrived in one turn, and meanwhile accept and read
    nothing, not even a liveness probe. After a request that kept the loop for longer than a moment
    the next one waits for as long, as the loop accepts one connection a turn.

    Args:
        most: requests that may wait to begin.

    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def admitted(self) -> bool:
        """Wait until a request may begin, and return whether there was room to wait."""
        if self._waiting >= self._most:
            return False
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        # Called in the next turn: the request runs at once, until it waits or has ended.
        asyncio.get_running_loop().call_soon(self._pause, time.perf_counter())
        return True

    def _pause(self, begun: float) -> None:
        taken = time.perf_counter() - begun
        pause = taken if taken > SHORT else 0.0
        asyncio.get_running_loop().call_later(pause, self._lock.release)
