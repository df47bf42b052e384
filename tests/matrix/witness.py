"""A program that tells when a processor stood still, as it does while the host runs another's.

Nobody goes before it on its processor, and it wants next to nothing of it every thousandth of a
second. So when it is late, whatever else runs there is as late, and can't help it. The kernel
counts stolen time in hundredths of a second, and does not tell when.
"""

import os
import sys
import time


# Seconds between two looks, and how far apart they are at least when the processor stood still.
PAUSE, STOOD = 0.001, 0.003


def main(processor: int) -> None:
    """Tell of each time the last look before and the first one after, while there is a parent."""
    os.sched_setaffinity(0, {processor})
    parent = os.getppid()
    now = time.monotonic()
    while os.getppid() == parent:
        time.sleep(PAUSE)
        before, now = now, time.monotonic()
        if now - before > STOOD:
            os.write(1, f"{before} {now}\n".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
