import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.service import ROOT


# Seconds for which it is kept from running at least, and how often.
KEPT, TRIALS = 0.05, 100


@contextmanager
def witnessing() -> Iterator[subprocess.Popen[str]]:
    """Have one on some processor until the block ends."""
    processor = str(min(os.sched_getaffinity(0)))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.matrix.witness", processor],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as witness:
        try:
            yield witness
        finally:
            witness.kill()


def told(witness: int, moment: float) -> tuple[float, float]:
    """Tell from when to when it could not run around a moment; zeros if it says nothing of it."""
    while select.select([witness], [], [], KEPT)[0]:
        for line in os.read(witness, 4096).splitlines():
            begin, end = map(float, line.split())
            if begin < moment <= end:
                return begin, end
    return 0.0, 0.0


def test_it_tells_from_when_to_when_it_could_not_run() -> None:
    """Of what was before and after it says nothing of that length."""
    with witnessing() as witness:
        assert witness.stdout
        begin = end = stopped = going = 0.0
        # More than once: what is kept from beginning tells nothing.
        for _ in range(TRIALS):
            witness.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            time.sleep(2 * KEPT)
            going = time.monotonic()
            witness.send_signal(signal.SIGCONT)
            begin, end = told(witness.stdout.fileno(), going)
            if end:
                break
        assert stopped - KEPT < begin <= going - KEPT
        assert end >= going
