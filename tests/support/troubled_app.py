"""Runs a program as `python -m` does, with signals that cause faults inside the process.

SIGUSR1 blocks the event loop for SECONDS, as a blocking call in a coroutine would. SIGUSR2 steps
the wall clock an hour ahead, and the next one back. SIGHUP blocks all threads, as an extension in C
that holds the GIL would.
"""

import re
import runpy
import signal
import sys
import time


SECONDS = 2.0
HOUR = 3600.0


def block(*_: object) -> None:
    """Block the event loop."""
    time.sleep(SECONDS)


def hold_gil(*_: object) -> None:
    """Block all threads."""
    # Count CPU time only: time that other processes take does not count as blocking.
    started, length = time.thread_time(), 16
    while time.thread_time() - started < SECONDS * 0.75:
        length += 1
        re.match("(a+)+$", "a" * length + "b")
    # Waiting threads run now, and the stall detector may not be the first of them.
    started = time.thread_time()
    while time.thread_time() - started < 0.1:
        pass


def step(*_: object) -> None:
    """Step the wall clock ahead, or back."""
    global ahead  # noqa: PLW0603 - there is one clock
    ahead = HOUR - ahead


ahead, true = 0.0, time.time

if __name__ == "__main__":
    time.time = lambda: true() + ahead
    signal.signal(signal.SIGUSR1, block)
    signal.signal(signal.SIGUSR2, step)
    signal.signal(signal.SIGHUP, hold_gil)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
