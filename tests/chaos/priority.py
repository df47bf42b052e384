"""Priorities, so that other load on the machine is not blamed on a fault."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path


# Priorities of the kernel's real-time scheduler. Everything else has none.
SERVICE, LOAD_GENERATOR = 1, 2

# Of this process, which runs proxies, and of broken servers.
NICENESS = -10


def unavailable() -> bool:
    """Return whether this machine refuses real-time priorities."""
    trial = ["chrt", "--rr", "1", "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode != 0


def come_first() -> None:
    """Come before usual programs, if root, so that proxies and servers answer in time."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def raise_priority(pid: int, priority: int) -> None:
    """Set the priority of all threads of a process; threads that they start inherit it."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end after it was listed.
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(priority))
