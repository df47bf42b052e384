"""Instances of the service, each a process that keeps its port over restarts."""

import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.ports import free_port
from tests.support.service import await_answer, start, wait_for


COMMAND = (sys.executable, "-m", "tests.support.slow_app")

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
        self.start()

    def start(self) -> None:
        """Start the instance, and wait until it is ready."""
        self.service = start(self._environ, self._log, COMMAND, self.port)
        try:
            await_answer(self.service)
            wait_for(lambda: self.service.ask("/health/ready").code == 200, START_TIMEOUT)
        except AssertionError as error:
            error.add_note(self.service.state())
            self.close()
            raise
        self.ready_at = time.monotonic()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.service.process.send_signal(number)

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.send(signal.SIGTERM)
        return self.service.process.wait(10)

    def close(self) -> None:
        """Kill the process."""
        self.send(signal.SIGKILL)
        self.service.process.wait()
