"""The signals that would end a process by default, and what the service does at each instead.

SIGINT is Ctrl-C, and SIGQUIT ends at once, so that one is left for that. The signals that a crash
raises end it too, and those that stop and continue it do that.
"""

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path


# The kernel sends SIGXCPU each second between the soft and the hard limit of CPU time, and init
# systems send SIGPWR when the power fails or a container has to stop. Not every system has them.
LIKE_SIGTERM = [signal.Signals[name] for name in ("SIGXCPU", "SIGPWR") if hasattr(signal, name)]

# None of these asks for an end: settings are read once, and there is no log file to open again.
IGNORED = [
    getattr(signal, name)
    for name in (
        *("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF"),
        *("SIGIO", "SIGSTKFLT"),
    )
    if hasattr(signal, name)
] + [*range(getattr(signal, "SIGRTMIN", 0), getattr(signal, "SIGRTMAX", -1) + 1)]


def ignore() -> list[int]:
    """Ignore those that nothing else handles, and return them."""
    caught = _caught()
    free = [number for number in IGNORED if signal.getsignal(number) is signal.SIG_DFL]
    ignored = [number for number in free if not caught >> (number - 1) & 1]
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    return ignored


@contextlib.contextmanager
def ignoring() -> Iterator[None]:
    """Ignore them within the block, unless something in it comes to handle them."""
    ignored = ignore()
    try:
        yield
    finally:
        for number in ignored:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


def _caught() -> int:
    """Return the signals that have a handler, a bit each; `signal` does not know faulthandler's."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        if found := re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE):
            return int(found[1], 16)
    return 0
