"""A program that detects when a CPU stalls, for example while the host runs another guest.

The program has the highest priority on its CPU and needs almost no time, once a millisecond. If it
runs late, everything else on that CPU runs late too. The kernel's count of stolen time has a
resolution of a hundredth of a second, and doesn't say when the time was stolen.
"""

import os
import sys
import time


# Seconds between two wake-ups, and the least gap that counts as a stall.
PAUSE, STALL = 0.001, 0.003


def main(processor: int) -> None:
    """Print start and end of each stall, until the parent process ends."""
    os.sched_setaffinity(0, {processor})
    parent = os.getppid()
    now = time.monotonic()
    while os.getppid() == parent:
        time.sleep(PAUSE)
        before, now = now, time.monotonic()
        if now - before > STALL:
            os.write(1, f"{before} {now}\n".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
