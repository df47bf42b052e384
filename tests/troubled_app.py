"""Runs a program as `python -m` does, with a switch for each trouble that comes from inside.

SIGUSR1 blocks its event loop for SECONDS, as a call does that should have been awaited. SIGUSR2
steps its wall clock, an hour ahead and back in turn; SIGHUP blocks it without letting any other
thread run, as some extensions in C do.
"""

import re
import runpy
import signal
import sys
import time
from types import FrameType


SECONDS = 2.0
HOUR = 3600.0


def block(number: int, frame: FrameType | None) -> None:
    """Let nothing else happen for a while."""
    del number, frame
    time.sleep(SECONDS)


def hog(number: int, frame: FrameType | None) -> None:
    """Let no other thread run either."""
    del number, frame
    # As long as it takes to have worked for so long: what others take from it is no blocking.
    begun, length = time.thread_time(), 16
    while time.thread_time() - begun < SECONDS * 0.75:
        length += 1
        re.match("(a+)+$", "a" * length + "b")
    # Threads have waited, and the one that watches may not be the first to be let in.
    begun = time.thread_time()
    while time.thread_time() - begun < 0.1:
        pass


def step(number: int, frame: FrameType | None) -> None:
    """Set the wall clock ahead, or back."""
    del number, frame
    global ahead  # noqa: PLW0603 - there is one clock
    ahead = HOUR - ahead


ahead, true = 0.0, time.time

if __name__ == "__main__":
    time.time = lambda: true() + ahead
    signal.signal(signal.SIGUSR1, block)
    signal.signal(signal.SIGUSR2, step)
    signal.signal(signal.SIGHUP, hog)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
