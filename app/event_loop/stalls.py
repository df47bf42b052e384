"""What blocks the event loop, as nothing is answered meanwhile, not even by liveness."""

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import islice

from app.background import repeated
from app.event_loop.lag import LOOK_EVERY, Lag


# Longer than any pause of the garbage collector, shorter than probes have patience for.
LIMIT = 1.0

# How many calls of the stack are told, the innermost.
DEPTH = 40

logger = logging.getLogger("vitals")


class Stalls:
    """Writes down what the event loop does when it has not turned for too long, once a stall.

    A thread looks, as nothing on the loop could tell. While the machine sleeps, or the process is
    stopped or starved, the thread is as late as the loop; such time counts as far as the processor
    worked for this process, which it does for C code that lets no thread run. That is told when it
    ends: at the very call, unless other threads that have waited go first.

    Args:
        count: called once for each stall.

    """

    def __init__(self, lag: Lag, count: Callable[[], None]) -> None:
        self._lag = lag
        self._count = count
        self._turns = -1
        self._looked = self._worked = self._blocked = 0.0
        self._told = False

    def watched(self) -> AbstractContextManager[None]:
        """Watch the loop of the thread that calls this, while the block runs."""
        loop = threading.get_ident()
        return repeated(lambda: self.look(loop), "stalls", every=LOOK_EVERY)

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
