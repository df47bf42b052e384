"""What probers see who never stop asking: each answer, when it came, and how long it took."""

import json
import math
import subprocess
import sys
from collections import defaultdict
from types import TracebackType
from typing import Self

from tests.matrix.asker import Answered
from tests.service import ROOT, Reply, Service, p99


LIVE, READY = "/health/live", "/health/ready"

# Those whose time is budgeted, where they are served.
BUDGETED = (READY, LIVE, "/metrics")

# What p99 may be during a fault: so many times what it is without one, and so many seconds more.
TIMES, MORE = 2, 0.005


class Load:
    """Asks a service and its healthy twin the same, over 32 connections each, until left.

    What a busy machine costs both is not taken for the fault's doing.

    Attributes:
        budgeted: the paths whose time is budgeted.

    """

    def __init__(self, service: Service, twin: Service, *more: str) -> None:
        self.budgeted = [path for path in BUDGETED if service.ask(path).code == 200]
        self._service, self._twin = service.port, twin.port
        self._answers: defaultdict[tuple[int, str], list[Reply]] = defaultdict(list)
        paths, ports = ",".join((*self.budgeted, *more)), (str(service.port), str(twin.port))
        self._asker = subprocess.Popen(
            [sys.executable, "-m", "tests.matrix.asker", paths, *ports],
            bufsize=0,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def answers(self, path: str, begin: float, end: float) -> list[Reply]:
        """Tell what was asked from one moment of the steady clock to another, in order."""
        self._collect()
        return _between(self._answers[self._service, path], begin, end)

    def late(self, begin: float, end: float) -> list[str]:
        """Tell which paths were answered later than is promised."""
        self._collect()
        late = []
        for path in self.budgeted:
            own = _p99(_between(self._answers[self._service, path], begin, end))
            healthy = _p99(_between(self._answers[self._twin, path], begin, end))
            if own > TIMES * healthy + MORE:
                late.append(f"{path}: p99 {own * 1000:.1f} ms, healthy {healthy * 1000:.1f} ms")
        return late

    def disturbance(self, begin: float, end: float) -> float:
        """Tell by how many seconds the machine held up the healthy twin at most."""
        self._collect()
        replies = _between(self._answers[self._twin, LIVE], begin, end)
        return max((reply.seconds for reply in replies), default=0.0)

    def forget(self) -> None:
        """Let go of all that was seen."""
        self._collect()
        self._answers.clear()

    def _collect(self) -> None:
        assert self._asker.stdin
        assert self._asker.stdout
        self._asker.stdin.write(b"\n")
        answered: list[Answered] = json.loads(self._asker.stdout.readline())
        for port, path, at, seconds, code in answered:
            self._answers[port, path].append(Reply(at, code, {}, b"", seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._asker.communicate()


def _between(replies: list[Reply], begin: float, end: float) -> list[Reply]:
    found = [reply for reply in replies if begin <= reply.at < end]
    return sorted(found, key=lambda reply: reply.at)


def _p99(replies: list[Reply]) -> float:
    return p99(replies) if replies else math.inf
