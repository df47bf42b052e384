"""Continuous load on a service and on a healthy control, with every answer's time and latency."""

import json
import math
import subprocess
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter
from typing import Self

from tests.chaos.asker import Sample
from tests.chaos.priority import LOAD_GENERATOR, raise_priority
from tests.support.service import ROOT, Reply, Service, p99


LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"

# Paths with a latency limit.
LIMITED = (READY, LIVE, METRICS)

# Latency limit during a fault: p99 of the control times FACTOR, plus MARGIN seconds.
FACTOR, MARGIN = 2, 0.005

# Seconds within which an answer from memory arrives unless the machine stalls.
PROMPT = 0.01

AT = attrgetter("at")


class Load:
    """Sends the same requests to a service and to its control, over 32 connections each."""

    def __init__(self, service: Service, control: Service, *more_paths: str) -> None:
        self._service, self._control = service.port, control.port
        self._answers: defaultdict[tuple[int, str], list[Reply]] = defaultdict(list)
        paths, ports = ",".join((*LIMITED, *more_paths)), (str(service.port), str(control.port))
        self._generator = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.asker", paths, *ports],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        raise_priority(self._generator.pid, LOAD_GENERATOR)

    def answers(self, path: str, start: float, end: float, *, control: bool = False) -> list[Reply]:
        """Return the answers to requests between two monotonic times, in order."""
        self._collect()
        replies = self._answers[self._control if control else self._service, path]
        replies.sort(key=AT)
        return replies[bisect_left(replies, start, key=AT) : bisect_left(replies, end, key=AT)]

    def late(self, start: float, end: float) -> list[str]:
        """Describe each path whose latency exceeded its limit."""
        late = []
        for path in LIMITED:
            own = p99(self.answers(path, start, end))
            healthy = p99(self.answers(path, start, end, control=True))
            if own > FACTOR * healthy + MARGIN:
                late.append(f"{path}: p99 {own * 1000:.1f} ms, control {healthy * 1000:.1f} ms")
        return late

    def stalled(self, start: float, end: float) -> float:
        """Return for how many seconds the control kept a client waiting, so the machine stalled."""
        answers = (self.answers(path, start, end, control=True) for path in LIMITED)
        return waiting_time(sorted(chain.from_iterable(answers), key=AT))

    def _collect(self) -> None:
        assert self._generator.stdin
        assert self._generator.stdout
        self._generator.stdin.write(b"\n")
        self._generator.stdin.flush()
        samples: list[Sample] = json.loads(self._generator.stdout.readline())
        for port, path, at, seconds, code in samples:
            self._answers[port, path].append(Reply(at, code, {}, b"", seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._generator.communicate()


def waiting_time(replies: Iterable[Reply]) -> float:
    """Return for how many seconds at least one client waited longer than PROMPT.

    Overlapping waits count once, so the result is the length of the stalls.

    Args:
        replies: in the order of their requests.
    """
    seconds, until = 0.0, -math.inf
    for reply in replies:
        end = reply.at + reply.seconds
        if reply.seconds > PROMPT and end > until:
            seconds += end - max(reply.at, until)
            until = end
    return seconds
