"""Runs attempts against one child, several at a time."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

from tests.fuzz.conversation import Conversation
from tests.fuzz.dependency import Lane
from tests.fuzz.mutation import Mutation
from tests.fuzz.prober import DiedError, ProbeProcess
from tests.fuzz.tls import player


# The reasons that a server can cause. Name resolution and connecting always work here.
REASONS = {
    *("timeout", "disconnected", "tls", "auth", "denied", "too_many_connections", "starting"),
    *("read_only", "no_primary", "out_of_memory", "persistence", "misconfigured", "protocol"),
    *("not_replica", "condition"),
    "connect_timeout",  # if the connection was cut just before the deadline
    "unreachable",  # PgBouncer reports that its server is unreachable
}
HTTP_REASONS = {"timeout", "connect_timeout", "disconnected", "tls", "protocol", "http_status"}

# A server's error that is in no table has the reason `error`.
SERVER_ERRORS = {"PostgresServerError", "ResponseError"}

# Attempts of an order, and the timeout of each in seconds.
ATTEMPTS, TIMEOUT = 2, 0.25

Plan = Callable[[int], tuple[Conversation, Mutation]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, and how to reproduce it.

    Attributes:
        numbers: the number of the attempt, or the numbers of all candidates.
        sent: the pieces that the dependency sent; an empty one starts a connection.
    """

    problem: str
    numbers: tuple[int, ...]
    about: str = ""
    sent: list[bytes] = field(default_factory=list)


class Session:
    """A child, and the listeners of its attempts.

    Args:
        plan: returns the conversation and the mutation of an attempt, by its number.

    Attributes:
        findings: faults of known attempts.
        suspects: faults whose attempt is one of several.
        reasons: the number of attempts with each reason.
        died: how the child ended, if it did.
    """

    def __init__(self, plan: Plan, probe_process: ProbeProcess, lanes: int) -> None:
        self._plan, self.probe_process = plan, probe_process
        self._lanes = [Lane() for _ in range(lanes)]
        # The candidates for a fault, which is reported a moment after the attempt that causes it.
        self._recent = deque[int](maxlen=3 * lanes)
        self.findings: list[Finding] = []
        self.suspects: list[Finding] = []
        self.reasons = Counter[str]()
        self.died = ""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as entering:
            await entering.enter_async_context(self.probe_process)
            for lane in self._lanes:
                await entering.enter_async_context(lane)
            self._stack = entering.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def attack(self, numbers: Iterable[int]) -> None:
        """Run these attempts; return when all are done, or the child has ended."""
        shared = iter(numbers)
        async with asyncio.TaskGroup() as group:
            for place in range(len(self._lanes)):
                group.create_task(self._attempts(place, shared))
        self._suspect()

    async def _attempts(self, place: int, numbers: Iterator[int]) -> None:
        for number in numbers:
            self._recent.append(number)
            try:
                await self._attempt(place, number)
            except DiedError as error:
                if not self.died:
                    self.died = str(error)
                    self.suspects.append(self._finding_of_recent(f"the child {error}"))
                return
            self._suspect()

    async def _attempt(self, place: int, number: int) -> None:
        lane = self._lanes[place]
        conversation, mutation = self._plan(number)
        lane.play = playing = player(conversation, mutation)
        order = conversation.target.order(place, lane.port, ATTEMPTS, TIMEOUT)
        outcomes = await self.probe_process.run(order)
        self.reasons.update(reason for reason, _, _ in outcomes)
        if problem := judge(conversation, mutation, outcomes):
            about = f"{conversation.target.kind}, {conversation.name}, {mutation}: {outcomes}"
            self.findings.append(Finding(problem, (number,), about, playing.sent))

    def _suspect(self) -> None:
        self.suspects += [self._finding_of_recent(fault) for fault in self.probe_process.faults]
        self.probe_process.faults.clear()

    def _finding_of_recent(self, problem: str) -> Finding:
        return Finding(problem, tuple(self._recent), self.probe_process.output())


def judge(conversation: Conversation, mutation: Mutation, outcomes: list[list[str]]) -> str:
    """Return what is wrong with these outcomes; empty if nothing is."""
    proper = HTTP_REASONS if conversation.target.kind == "http" else REASONS
    for reason, cause, _ in outcomes:
        if reason == "pass":
            continue
        if reason not in proper and (reason != "error" or cause not in SERVER_ERRORS):
            return f"reason {reason} for {cause}"
    if mutation.is_fatal and outcomes[0][0] == "pass":
        return "passes without an answer"
    return ""
