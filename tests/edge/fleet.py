"""Three instances, each a process of its own that keeps its port over restarts."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.ports import free_port
from tests.service import Service, await_answer, start


WORKER = (sys.executable, "-m", "tests.edge.worker")

# What a request may take beside what it is asked to; a frozen instance takes for ever.
PATIENCE = 3


class Instance:
    """One instance, again and again at the same port.

    Attributes:
        ready_at: when it was last found ready after a start, by the steady clock.

    """

    ready_at = 0.0

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self.port = free_port()
        self._environ = environ
        self._log = folder / f"{self.port}.log"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.service: Service = start(self._environ, self._log, WORKER, self.port)
        await_answer(self.service)
        deadline = time.monotonic() + PATIENCE
        while not self.ready:
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)
        self.ready_at = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether it says that it is ready."""
        return self.service.ask("/health/ready").code == 200

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.service.process.send_signal(number)

    def stop(self, within: float = 10) -> int:
        """Tell it to stop; tell its exit code."""
        self.send(signal.SIGTERM)
        return self.service.process.wait(within)

    def close(self) -> None:
        """Leave nothing of it."""
        self.send(signal.SIGKILL)
        self.service.process.wait()


@contextlib.contextmanager
def fleet(environs: list[Mapping[str, str]], folder: Path) -> Iterator[list[Instance]]:
    """Run an instance with each of these settings."""
    with contextlib.ExitStack() as stack:
        instances = []
        for environ in environs:
            instances.append(Instance(environ, folder))
            stack.callback(instances[-1].close)
        yield instances
