"""Tests of real-time priorities."""

import os
import subprocess
import sys

import pytest

from tests.chaos.priority import SERVICE, raise_priority, unavailable


pytestmark = pytest.mark.alone

if unavailable():
    pytest.skip("*** PRIORITIES ARE NOT TESTED: not permitted here ***", allow_module_level=True)

# Starts threads that end at once, as those of a resolver may.
SHORT_THREADS = """
from threading import Thread
print(flush=True)
while True:
    Thread(target=int).start()
"""


def test_a_thread_that_ends_meanwhile_does_not_disturb_the_others() -> None:
    """It is listed, but gone before its priority can be set."""
    command = [sys.executable, "-c", SHORT_THREADS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            program.stdout.readline()
            for _ in range(200):
                raise_priority(program.pid, SERVICE)
            assert os.sched_getscheduler(program.pid) == os.SCHED_RR
        finally:
            program.kill()
