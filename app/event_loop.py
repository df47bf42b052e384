"""Requests begin one after another, so that no number of them holds up the event loop."""

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import islice

from app.background import run_periodically


# Seconds between two looks, and for how many of them the worst is told: no scrape misses it.
LOOK_EVERY = 0.25
TOLD_FOR = 60


class LoopLag:
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


# Longer than any pause of the garbage collector, shorter than probes have patience for.
LIMIT = 1.0

# How many calls of the stack are told, the innermost.
DEPTH = 40

logger = logging.getLogger("vitals")


class StallDetector:
    """Writes down what the event loop does when it has not turned for too long, once a stall.

    A thread looks, as nothing on the loop could tell. While the machine sleeps, or the process is
    stopped or starved, the thread is as late as the loop; such time counts as far as the processor
    worked for this process, which it does for C code that lets no thread run. That is told when it
    ends: at the very call, unless other threads that have waited go first.

    Args:
        count: called once for each stall.

    """

    def __init__(self, lag: LoopLag, count: Callable[[], None]) -> None:
        self._lag = lag
        self._count = count
        self._turns = -1
        self._looked = self._worked = self._blocked = 0.0
        self._told = False

    def watched(self) -> AbstractContextManager[None]:
        """Watch the loop of the thread that calls this, while the block runs."""
        loop = threading.get_ident()
        return run_periodically(lambda: self.look(loop), "stalls", every=LOOK_EVERY)

    def look(self, loop: int) -> None:
        """See whether the loop has turned since the last look."""
        looked, worked = time.monotonic(), time.process_time()
        elapsed = min(looked - self._looked, LOOK_EVERY + worked - self._worked)
        self._looked, self._worked = looked, worked
        if self._lag.turns != self._turns:
            self._turns, self._blocked, self._told = self._lag.turns, 0.0, False
            return
        self._blocked += elapsed
        if self._blocked > LIMIT and not self._told:
            self._told = True
            self._count()
            logger.error("event loop blocked", extra={"stack": stack(loop)})


def stack(thread: int) -> list[str]:
    """Tell the calls that a thread is in, the latest last: files and functions, and no values."""
    innermost = sys._current_frames()[thread]  # noqa: SLF001 - documented, under this name alone
    calls = list(islice(traceback.walk_stack(innermost), DEPTH))
    return [f"{at.f_code.co_filename}:{line} {at.f_code.co_qualname}" for at, line in calls[::-1]]


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
