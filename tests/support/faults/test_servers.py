"""Tests of server control, on small programs in place of servers."""

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import psutil

from tests.support.faults.servers import freeze


# A parent that never reaps its child, which has ended.
PARENT = """
import os, subprocess, time
child = subprocess.Popen(["true"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
print("ended", flush=True)
time.sleep(60)
"""


def test_a_server_with_an_ending_child_can_be_frozen() -> None:
    """The frozen parent does not reap the child, which stays a zombie and never stops."""
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "ended\n"
        server: Any = SimpleNamespace(pid=parent.pid)
        freezing = threading.Thread(target=freeze, args=(server,), daemon=True)
        freezing.start()
        freezing.join(5)
        stopped = psutil.Process(parent.pid).status() == psutil.STATUS_STOPPED
        parent.kill()
        assert stopped
        assert not freezing.is_alive()
