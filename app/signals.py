"""The signals that end a process by default, but that the service handles or ignores.

SIGINT, SIGQUIT, the signals of a crash, and those that stop and continue a process keep their
default meaning.
"""

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path


# Drain on these as on SIGTERM. The kernel sends SIGXCPU each second between the soft and the hard
# limit of CPU time. Init systems send SIGPWR if the power fails or a container has to stop. Not
# every system has them.
LIKE_SIGTERM = [signal.Signals[name] for name in ("SIGXCPU", "SIGPWR") if hasattr(signal, name)]

# Ignored: settings are read once, and there is no log file to reopen.
IGNORED = [
    getattr(signal, name)
    for name in (
        *("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF"),
        *("SIGIO", "SIGSTKFLT"),
    )
    if hasattr(signal, name)
] + [*range(getattr(signal, "SIGRTMIN", 0), getattr(signal, "SIGRTMAX", -1) + 1)]


def ignore() -> list[int]:
    """Ignore the signals of IGNORED that have no handler, and return them."""
    caught = _caught()
    unhandled = [number for number in IGNORED if signal.getsignal(number) is signal.SIG_DFL]
    ignored = [number for number in unhandled if not caught >> (number - 1) & 1]
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    return ignored


@contextlib.contextmanager
def ignoring() -> Iterator[None]:
    """Ignore the signals of IGNORED within the block. A handler that it installs stays."""
    ignored = ignore()
    try:
        yield
    finally:
        for number in ignored:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


def _caught() -> int:
    """Return the signals that have a handler, a bit each. `signal` misses those of faulthandler."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        if found := re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE):
            return int(found[1], 16)
    return 0
