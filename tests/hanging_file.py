"""A file that hangs, as on a share whose server is gone."""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Have whoever opens a file wait until the block ends, or the kernel's patience of 45 s does.

    A lease does that, https://man7.org/linux/man-pages/man2/F_GETLEASE.2const.html; who holds one
    is told by a signal that somebody waits.
    """
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(file, os.O_RDWR)
    try:
        while not leased(descriptor):
            time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


def leased(descriptor: int) -> bool:
    """Take the lease, unless somebody who has waited before has the file open just now."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except BlockingIOError:
        return False
    return True
