import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.service import ROOT


# Least seconds of a stall in this test, and the number of attempts.
STALL, TRIALS = 0.05, 100


@contextmanager
def cpu_stall_detector() -> Iterator[subprocess.Popen[str]]:
    """Run a detector on some CPU until the block ends."""
    processor = str(min(os.sched_getaffinity(0)))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.witness", processor],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as detector:
        try:
            yield detector
        finally:
            detector.kill()


def find_stall(output: int, moment: float) -> tuple[float, float]:
    """Return start and end of the stall around a moment, or zeros if none was printed."""
    while select.select([output], [], [], STALL)[0]:
        for line in os.read(output, 4096).splitlines():
            start, end = map(float, line.split())
            if start < moment <= end:
                return start, end
    return 0.0, 0.0


def test_a_stall_is_printed_with_its_start_and_end() -> None:
    """SIGSTOP and SIGCONT stand in for a stalled CPU."""
    with cpu_stall_detector() as detector:
        assert detector.stdout
        start = end = stopped = resumed = 0.0
        # Try several times: a detector that was stopped before it started prints nothing.
        for _ in range(TRIALS):
            detector.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            time.sleep(2 * STALL)
            resumed = time.monotonic()
            detector.send_signal(signal.SIGCONT)
            start, end = find_stall(detector.stdout.fileno(), resumed)
            if end:
                break
        assert stopped - STALL < start <= resumed - STALL
        assert end >= resumed
