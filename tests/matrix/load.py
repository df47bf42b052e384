"""What probers see who never stop asking: each answer, when it came, and how long it took."""

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
from types import TracebackType
from typing import Self

from tests.matrix.asker import Answered
from tests.matrix.priority import ASKING, WITNESSING, hasten
from tests.service import ROOT, Reply, Service, p99


LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"

# Those whose time is budgeted.
BUDGETED = (READY, LIVE, METRICS)

# What p99 may be during a fault: so many times what it is without one, and so many seconds more.
TIMES, MORE = 2, 0.005

# Seconds that an answer from memory takes at most while the machine stands still for nobody.
PROMPT = 0.01

AT = attrgetter("at")

# From one moment of the steady clock to another.
Span = tuple[float, float]


class Load:
    """Asks a service and its healthy twin the same, over 32 connections each, until left.

    And has witnesses of whether the machine runs, one on each processor.
    """

    def __init__(self, service: Service, twin: Service, *more: str) -> None:
        self._service, self._twin = service.port, twin.port
        self._answers: defaultdict[tuple[int, str], list[Reply]] = defaultdict(list)
        paths, ports = ",".join((*BUDGETED, *more)), (str(service.port), str(twin.port))
        # Before anything is asked, as their beginning is work that goes before the rest.
        with ExitStack() as stack:
            self._testimony = stack.enter_context(tempfile.TemporaryFile(mode="a+"))
            for processor in os.sched_getaffinity(0):
                self._witness(processor, stack)
            self._witnesses = stack.pop_all()
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
        twin = [reply for path in BUDGETED for reply in self.healthy(path, begin, end)]
        pauses = [*_pauses(twin), *self._standstills()]
        for path in BUDGETED:
            replies = unhindered(self.answers(path, begin, end), pauses)
            own, healthy = _p99(replies), _p99(self.healthy(path, begin, end))
            allowed = TIMES * healthy + MORE
            if own > allowed:
                when = " ".join(
                    f"{reply.at - begin:.2f}" for reply in replies if reply.seconds > allowed
                )
                late.append(
                    f"{path}: p99 {own * 1000:.1f} ms, healthy {healthy * 1000:.1f} ms, at {when} s"
                )
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

    def _witness(self, processor: int, stack: ExitStack) -> None:
        """Have one on this processor until the end."""
        command = [sys.executable, "-m", "tests.matrix.witness", str(processor)]
        witness = subprocess.Popen(command, cwd=ROOT, stdout=self._testimony)
        stack.enter_context(witness)
        stack.callback(witness.kill)
        hasten(witness.pid, WITNESSING)

    def _standstills(self) -> list[Span]:
        """Tell when a processor stood still."""
        self._testimony.seek(0)
        spans = (line.split() for line in self._testimony)
        return [(float(begin), float(end)) for begin, end in spans]

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
        self._witnesses.close()


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


def unhindered(replies: Iterable[Reply], pauses: Sequence[Span]) -> list[Reply]:
    """Tell those answers during which the machine kept nobody else waiting."""
    return [reply for reply in replies if not any(_meet(_span(reply), pause) for pause in pauses)]


def _pauses(twin: Iterable[Reply]) -> list[Span]:
    """Tell when the twin, whom nothing befalls, kept somebody waiting."""
    return [_span(reply) for reply in twin if reply.seconds > PROMPT]


def _span(reply: Reply) -> Span:
    return reply.at, reply.at + reply.seconds


def _meet(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _p99(replies: list[Reply]) -> float:
    return p99(replies) if replies else math.inf
