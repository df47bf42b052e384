"""Continuous load on a service and on a healthy control, with every answer's time and latency."""

import json
import math
import os
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from operator import attrgetter
from typing import Self

from tests.chaos.asker import Sample
from tests.chaos.priority import LOAD_GENERATOR, STALL_DETECTOR, raise_priority
from tests.support.service import ROOT, Reply, Service, p99


LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"

# Paths with a latency limit.
LIMITED = (READY, LIVE, METRICS)

# Latency limit during a fault: p99 of the control times FACTOR, plus MARGIN seconds.
FACTOR, MARGIN = 2, 0.005

# Seconds within which an answer from memory arrives unless the machine stalls.
PROMPT = 0.01

AT = attrgetter("at")

# Start and end, both monotonic times.
Span = tuple[float, float]


class Load:
    """Sends the same requests to a service and to its control, over 32 connections each.

    It also runs a stall detector on each CPU.
    """

    def __init__(self, service: Service, control: Service, *more_paths: str) -> None:
        self._service, self._control = service.port, control.port
        self._answers: defaultdict[tuple[int, str], list[Reply]] = defaultdict(list)
        paths, ports = ",".join((*LIMITED, *more_paths)), (str(service.port), str(control.port))
        # Start the detectors before the load, as starting a process with high priority delays it.
        with ExitStack() as stack:
            self._stalls = stack.enter_context(tempfile.TemporaryFile(mode="a+"))
            for processor in os.sched_getaffinity(0):
                self._start_stall_detector(processor, stack)
            self._detectors = stack.pop_all()
        self._generator = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.asker", paths, *ports],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        raise_priority(self._generator.pid, LOAD_GENERATOR)

    def answers(self, path: str, start: float, end: float) -> list[Reply]:
        """Return the service's answers to requests between two monotonic times, in order."""
        return self._select(self._service, path, start, end)

    def control_answers(self, path: str, start: float, end: float) -> list[Reply]:
        """Return the control's answers to requests between two monotonic times, in order."""
        return self._select(self._control, path, start, end)

    def late(self, start: float, end: float) -> list[str]:
        """Describe each path whose latency exceeded its limit."""
        late = []
        control = [reply for path in LIMITED for reply in self.control_answers(path, start, end)]
        stalls = [
            *(_span(reply) for reply in control if reply.seconds > PROMPT),
            *self._read_stalls(),
        ]
        for path in LIMITED:
            replies = outside_stalls(self.answers(path, start, end), stalls)
            own, healthy = _p99(replies), _p99(self.control_answers(path, start, end))
            limit = FACTOR * healthy + MARGIN
            if own > limit:
                when = " ".join(
                    f"{reply.at - start:.2f}" for reply in replies if reply.seconds > limit
                )
                late.append(
                    f"{path}: p99 {own * 1000:.1f} ms, control {healthy * 1000:.1f} ms, at {when} s"
                )
        return late

    def stalled(self, start: float, end: float) -> float:
        """Return for how many seconds the control kept a client waiting, so the machine stalled."""
        answers = chain.from_iterable(self.control_answers(path, start, end) for path in LIMITED)
        return waiting_time(sorted(answers, key=AT))

    def forget(self) -> None:
        """Discard all answers."""
        self._collect()
        self._answers.clear()

    def _select(self, port: int, path: str, start: float, end: float) -> list[Reply]:
        self._collect()
        replies = self._answers[port, path]
        replies.sort(key=AT)
        return replies[bisect_left(replies, start, key=AT) : bisect_left(replies, end, key=AT)]

    def _start_stall_detector(self, processor: int, stack: ExitStack) -> None:
        command = [sys.executable, "-m", "tests.chaos.witness", str(processor)]
        detector = subprocess.Popen(command, cwd=ROOT, stdout=self._stalls)
        stack.enter_context(detector)
        stack.callback(detector.kill)
        raise_priority(detector.pid, STALL_DETECTOR)

    def _read_stalls(self) -> list[Span]:
        self._stalls.seek(0)
        spans = (line.split() for line in self._stalls)
        return [(float(start), float(end)) for start, end in spans]

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
        self._detectors.close()


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


def outside_stalls(replies: Iterable[Reply], stalls: Sequence[Span]) -> list[Reply]:
    """Return the answers that overlap no stall of the machine."""
    return [reply for reply in replies if not any(_overlap(_span(reply), one) for one in stalls)]


def _span(reply: Reply) -> Span:
    return reply.at, reply.at + reply.seconds


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _p99(replies: list[Reply]) -> float:
    return p99(replies) if replies else math.inf
