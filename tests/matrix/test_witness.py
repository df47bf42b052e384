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
            if select.select([witness.stdout], [], [], KEPT)[0]:
                begin, end = map(float, witness.stdout.readline().split())
                if end - begin > KEPT:
                    break
        assert stopped - KEPT < begin <= going - KEPT
        assert end >= going
