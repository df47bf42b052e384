"""A file that blocks its readers, as on a network share whose server is gone."""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Block each process that opens a file until the block ends, for 45 s at most.

    A lease does this, https://man7.org/linux/man-pages/man2/F_GETLEASE.2const.html. The kernel
    notifies its holder with a signal, and breaks it after 45 s.
    """
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(file, os.O_RDWR)
    try:
        while True:
            with contextlib.suppress(BlockingIOError):  # another process still has the file open
                fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                break
            time.sleep(0.001)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)
