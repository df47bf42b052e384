"""What probers see who never stop asking: each answer, when it came, and how long it took."""

import json
import math
import subprocess
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter
from types import TracebackType
from typing import Self

from tests.matrix.asker import Answered
from tests.matrix.priority import ASKING, hasten
from tests.service import ROOT, Reply, Service, p99


LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"

# Those whose time is budgeted.
BUDGETED = (READY, LIVE, METRICS)

# What p99 may be during a fault: so many times what it is without one, and so many seconds more.
TIMES, MORE = 2, 0.005

# Seconds that an answer from memory takes at most while the machine stands still for nobody.
PROMPT = 0.01

AT = attrgetter("at")


class Load:
    """Asks a service and its healthy twin the same, over 32 connections each, until left."""

    def __init__(self, service: Service, twin: Service, *more: str) -> None:
        self._service, self._twin = service.port, twin.port
        self._answers: defaultdict[tuple[int, str], list[Reply]] = defaultdict(list)
        paths, ports = ",".join((*BUDGETED, *more)), (str(service.port), str(twin.port))
        self._asker = subprocess.Popen(
            [sys.executable, "-m", "tests.matrix.asker", paths, *ports],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        hasten(self._asker.pid, ASKING)

    def answers(self, path: str, begin: float, end: float) -> list[Reply]:
        """Tell what was asked from one moment of the steady clock to another, in order."""
        return self._heard(self._service, path, begin, end)

    def healthy(self, path: str, begin: float, end: float) -> list[Reply]:
        """Tell the same of the twin."""
        return self._heard(self._twin, path, begin, end)

    def late(self, begin: float, end: float) -> list[str]:
        """Tell which paths were answered later than is promised."""
        late = []
        beside = [reply for path in BUDGETED for reply in self.healthy(path, begin, end)]
        for path in BUDGETED:
            own = _p99(unhindered(self.answers(path, begin, end), beside))
            healthy = _p99(self.healthy(path, begin, end))
            if own > TIMES * healthy + MORE:
                late.append(f"{path}: p99 {own * 1000:.1f} ms, healthy {healthy * 1000:.1f} ms")
        return late

    def held_up(self, begin: float, end: float) -> float:
        """Tell for how many seconds the twin, whom nothing befalls, kept somebody waiting."""
        heard = chain.from_iterable(self.healthy(path, begin, end) for path in BUDGETED)
        return waited(sorted(heard, key=AT))

    def forget(self) -> None:
        """Let go of all that was seen."""
        self._collect()
        self._answers.clear()

    def _heard(self, port: int, path: str, begin: float, end: float) -> list[Reply]:
        self._collect()
        replies = self._answers[port, path]
        replies.sort(key=AT)
        return replies[bisect_left(replies, begin, key=AT) : bisect_left(replies, end, key=AT)]

    def _collect(self) -> None:
        assert self._asker.stdin
        assert self._asker.stdout
        self._asker.stdin.write(b"\n")
        self._asker.stdin.flush()
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


def waited(replies: Iterable[Reply]) -> float:
    """Tell for how many seconds somebody waited longer than for what is in memory.

    What several wait for at once counts once, so that a pause counts for as long as it was.

    Args:
        replies: in the order in which they were asked for.

    """
    seconds, until = 0.0, -math.inf
    for reply in replies:
        end = reply.at + reply.seconds
        if reply.seconds > PROMPT and end > until:
            seconds += end - max(reply.at, until)
            until = end
    return seconds


def unhindered(replies: Iterable[Reply], twin: Iterable[Reply]) -> list[Reply]:
    """Tell those answers during which the twin kept nobody waiting: the machine did not either."""
    pauses = [reply for reply in twin if reply.seconds > PROMPT]
    return [reply for reply in replies if not any(_together(reply, pause) for pause in pauses)]


def _together(one: Reply, other: Reply) -> bool:
    """Whether two waited at the same time."""
    return one.at < other.at + other.seconds and other.at < one.at + one.seconds


def _p99(replies: list[Reply]) -> float:
    return p99(replies) if replies else math.inf
