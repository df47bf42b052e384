"""A contender as a process, pinned to one CPU."""

import http.client
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psutil

from benchmarks.contenders import Contender
from tests.support.devservers.servers import reserve


# Servers run on the first CPU, the load generator on the second, if there is one.
FIRST, *REST = sorted(psutil.Process().cpu_affinity())
SECOND = REST[0] if REST else FIRST

START = 30


class Server:
    """A contender that runs until the block ends.

    Attributes:
        cold_start: seconds from its start to its first answer.

    Args:
        processor: the CPU to run on; the target of HTTP checks shares that of the load generator.
        folder: the code of our service; that of this checkout by default.
    """

    def __init__(
        self,
        contender: Contender,
        environ: Mapping[str, str],
        processor: int = FIRST,
        folder: Path | None = None,
    ) -> None:
        self.contender = contender
        self._folder = folder
        self._reservation = reserve()
        self.port = self._reservation.getsockname()[1]
        self._environ = {**os.environ, **environ, "PORT": str(self.port)}
        self._processor = processor
        self.cold_start = 0.0

    def __enter__(self) -> Self:
        started = time.perf_counter()
        pinned = ["taskset", "--cpu-list", str(self._processor), *self.contender.command(self.port)]
        self._process = subprocess.Popen(
            pinned,
            env=self._environ,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        live = "/health/live" if self.contender.ours else self.contender.path
        while self._status(live) != http.client.OK:
            if time.perf_counter() - started > START:
                self.__exit__()
                raise RuntimeError(f"{self.contender.name} does not answer")
            time.sleep(0.002)
        self.cold_start = time.perf_counter() - started
        return self

    def __exit__(self, *_: object) -> None:
        self._reservation.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        """URL of the requests."""
        return f"http://127.0.0.1:{self.port}{self.contender.path}"

    @property
    def cpu(self) -> float:
        """CPU time so far, in seconds."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> int:
        """Resident memory in bytes."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def await_ready(self) -> None:
        """Wait until it answers 200."""
        deadline = time.perf_counter() + START
        while self._status(self.contender.path) != http.client.OK:
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{self.contender.name} is not ready")
            time.sleep(0.05)

    def answer(self) -> tuple[int, list[tuple[str, str]], str]:
        """Return status, headers and body of one keep-alive request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", self.contender.path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, response.getheaders(), body

    def _status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()
