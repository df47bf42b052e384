"""Who goes before the rest of the machine, so that its other work is not taken for a fault's."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path


# Of the kernel's real-time scheduler; all else, what is broken included, has no such priority.
ANSWERING, ASKING, WITNESSING = 1, 2, 3


def unavailable() -> bool:
    """Whether nobody can be given a priority here."""
    trial = ["chrt", "--rr", "1", "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode != 0


def hasten(pid: int, priority: int) -> None:
    """Give all threads of a process a priority; those that they start have it too."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end between being listed and its turn.
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(priority))
