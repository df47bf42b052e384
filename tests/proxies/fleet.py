"""Instances of the service, each a process that keeps its port over restarts."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.ports import free_port
from tests.support.service import Service, await_answer, start


WORKER = (sys.executable, "-m", "tests.proxies.worker")

# Seconds to wait until a started instance is ready.
START_TIMEOUT = 10


class Instance:
    """An instance that can be restarted on the same port.

    Attributes:
        ready_at: when it became ready after its last start, by `time.monotonic`.
    """

    ready_at = 0.0

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self.port = free_port()
        self._environ = environ
        self._log = folder / f"{self.port}.log"
        try:
            self.start()
        except AssertionError:
            self.close()
            raise

    def start(self) -> None:
        """Start the instance, and wait until it is ready."""
        self.service: Service = start(self._environ, self._log, WORKER, self.port)
        await_answer(self.service)
        deadline = time.monotonic() + START_TIMEOUT
        while not self.ready:
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.01)
        self.ready_at = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether the instance reports that it is ready."""
        return self.service.ask("/health/ready").code == 200

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.service.process.send_signal(number)

    def stop(self, within: float = 10) -> int:
        """Send SIGTERM, and return the exit code. Wait at most *within* seconds."""
        self.send(signal.SIGTERM)
        return self.service.process.wait(within)

    def close(self) -> None:
        """Kill the process."""
        self.send(signal.SIGKILL)
        self.service.process.wait()


@contextlib.contextmanager
def fleet(environs: list[Mapping[str, str]], folder: Path) -> Iterator[list[Instance]]:
    """Run one instance for each of these environments."""
    with contextlib.ExitStack() as stack:
        instances = []
        for environ in environs:
            instances.append(Instance(environ, folder))
            stack.callback(instances[-1].close)
        yield instances
