"""Who goes before the rest of the machine while services are broken."""

import os
import subprocess
import sys

import pytest

from tests.matrix.priority import ANSWERING, hasten, unavailable


if unavailable():
    pytest.skip("*** PRIORITIES ARE NOT TESTED: no right to give any ***", allow_module_level=True)

# Threads that are over as soon as they have begun, as those of a resolver may be.
FLEETING = """
from threading import Thread
print(flush=True)
while True:
    Thread(target=int).start()
"""


def test_a_thread_that_ends_meanwhile_keeps_no_other_from_its_priority() -> None:
    """It is among those that there were, and is no more when its turn comes."""
    command = [sys.executable, "-c", FLEETING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            program.stdout.readline()
            for _ in range(200):
                hasten(program.pid, ANSWERING)
            assert os.sched_getscheduler(program.pid) == os.SCHED_RR
        finally:
            program.kill()
