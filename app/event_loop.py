"""Lag and stalls of the event loop, and an admission queue that keeps it responsive."""

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


# Seconds between two measurements, and the window of their maximum, longer than a scrape interval.
MEASURE_EVERY = 0.25
WINDOW = 60


class LoopLag:
    """How late the event loop calls a timer.

    Attributes:
        iterations: number of measurements. It does not change while the loop is blocked.
    """

    def __init__(self) -> None:
        self.iterations = 0
        self._delays = deque([0.0], maxlen=int(WINDOW / MEASURE_EVERY))

    def worst(self) -> float:
        """Return the longest delay of the last minute, in seconds."""
        return max(self._delays)

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Measure the lag of the running loop within the block."""
        loop = asyncio.get_running_loop()
        timer: asyncio.Handle

        def add_delay(due: float) -> None:
            nonlocal timer
            now = loop.time()
            self.iterations += 1
            self._delays.append(max(0.0, now - due))
            timer = loop.call_at(now + MEASURE_EVERY, add_delay, now + MEASURE_EVERY)

        timer = loop.call_soon(add_delay, loop.time())
        try:
            yield
        finally:
            timer.cancel()


# Seconds: longer than a pause of the garbage collector, shorter than the timeout of a probe.
STALL_AFTER = 1.0

# Innermost calls of the stack that are logged.
MAX_CALLS = 40

logger = logging.getLogger("vitals")


class StallDetector:
    """Logs the event loop's stack when the loop is blocked for too long, once per stall.

    A thread checks, because nothing runs on a blocked loop. While the machine is suspended, or the
    process is stopped or starved, the thread is as late as the loop. Of such time only the CPU time
    of this process counts: C code that holds the GIL uses it. A stall in such code is logged when
    the code returns.
    """

    def __init__(self, lag: LoopLag, on_stall: Callable[[], None]) -> None:
        self._lag = lag
        self._on_stall = on_stall
        self._iterations = -1
        self._checked_at = self._cpu_time = self._blocked = 0.0
        self._is_reported = False

    def watch(self) -> AbstractContextManager[None]:
        """Watch the event loop of the calling thread within the block."""
        thread = threading.get_ident()
        return run_periodically(lambda: self.check(thread), "stalls", every=MEASURE_EVERY)

    def check(self, thread: int) -> None:
        """Log the stack of a thread if its loop has been blocked for too long."""
        now, cpu_time = time.monotonic(), time.process_time()
        elapsed = min(now - self._checked_at, MEASURE_EVERY + cpu_time - self._cpu_time)
        self._checked_at, self._cpu_time = now, cpu_time
        if self._lag.iterations != self._iterations:
            self._iterations, self._blocked = self._lag.iterations, 0.0
            self._is_reported = False
            return
        self._blocked += elapsed
        if self._blocked > STALL_AFTER and not self._is_reported:
            self._is_reported = True
            self._on_stall()
            logger.error("event loop blocked", extra={"stack": stack(thread)})


def stack(thread: int) -> list[str]:
    """Return file, line and function of a thread's calls, the innermost last, without values."""
    innermost = sys._current_frames()[thread]  # noqa: SLF001 - documented, under this name alone
    calls = list(islice(traceback.walk_stack(innermost), MAX_CALLS))
    return [f"{at.f_code.co_filename}:{line} {at.f_code.co_qualname}" for at, line in calls[::-1]]


# Seconds. After a request that blocked the loop for longer, the next one waits.
SHORT_REQUEST = 0.002


class Admission:
    """Admits one request in each iteration of the event loop, in the order of arrival.

    Otherwise the loop would start all requests of a burst in one iteration, and accept and read
    nothing meanwhile, not even a liveness probe. After a request that blocked the loop for more
    than SHORT_REQUEST, the next one waits as long: the loop accepts one connection per iteration.
    """

    def __init__(self, max_waiting: float) -> None:
        self._max_waiting = max_waiting
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def acquire(self) -> bool:
        """Wait until a request may start. Return False at once if the queue is full."""
        if self._waiting >= self._max_waiting:
            return False
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        # The callback runs in the next iteration, after the request's first step.
        asyncio.get_running_loop().call_soon(self._release_later, time.perf_counter())
        return True

    def _release_later(self, started: float) -> None:
        duration = time.perf_counter() - started
        pause = duration if duration > SHORT_REQUEST else 0.0
        asyncio.get_running_loop().call_later(pause, self._lock.release)
