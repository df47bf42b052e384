"""One child under attack, by several attempts at a time."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

from tests.fuzz.conversation import Conversation
from tests.fuzz.dependency import Lane
from tests.fuzz.mutation import Mutation
from tests.fuzz.prober import DiedError, Prober
from tests.fuzz.tls import player


# What a server may be blamed for, where the network and the name are in order.
REASONS = {
    *("timeout", "disconnected", "tls", "auth", "denied", "too_many_connections", "starting"),
    *("read_only", "no_primary", "out_of_memory", "persistence", "misconfigured", "protocol"),
    "connect_timeout",  # where it was cut off just before the deadline
    "unreachable",  # PgBouncer's word for the server behind it
}
OF_HTTP = {"timeout", "connect_timeout", "disconnected", "tls", "protocol", "http_status"}

# An error in a server's words that no table has is an `error`.
SERVER_ERRORS = {"ServerError", "ResponseError"}

# Questions of an attempt, and seconds for each: what takes longer is as good as silent.
ASKS, TIMEOUT = 2, 0.25

Plan = Callable[[int], tuple[Conversation, Mutation]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, and how to see it again.

    Attributes:
        numbers: the attempt, or those of which it is one.
        sent: what the dependency sent in the attempt, in pieces; an empty one is a connection.

    """

    problem: str
    numbers: tuple[int, ...]
    about: str = ""
    sent: list[bytes] = field(default_factory=list)


class Session:
    """A child, and the lanes on which it is attacked.

    Args:
        plan: what to play in the attempt of a number.

    Attributes:
        findings: faults of known attempts.
        suspects: faults that came while these attempts ran.
        reasons: how often each was given.
        died: how the child ended, if it did.

    """

    def __init__(self, plan: Plan, prober: Prober, lanes: int) -> None:
        self._plan, self.prober = plan, prober
        self._lanes = [Lane() for _ in range(lanes)]
        # What a fault may come from: it is reported a moment after the attempt that causes it.
        self._recent = deque[int](maxlen=3 * lanes)
        self.findings: list[Finding] = []
        self.suspects: list[Finding] = []
        self.reasons = Counter[str]()
        self.died = ""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as entering:
            await entering.enter_async_context(self.prober)
            for lane in self._lanes:
                await entering.enter_async_context(lane)
            self._stack = entering.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def attack(self, numbers: Iterable[int]) -> None:
        """Make these attempts; return when all are made, or the child has ended."""
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
                    self.suspects.append(self._of_all(f"the child {error}"))
                return
            self._suspect()

    async def _attempt(self, place: int, number: int) -> None:
        lane = self._lanes[place]
        conversation, mutation = self._plan(number)
        lane.play = playing = player(conversation, mutation)
        order = conversation.question.order(place, lane.port, ASKS, TIMEOUT)
        outcomes = await self.prober.ask(order)
        self.reasons.update(reason for reason, _, _ in outcomes)
        if problem := judge(conversation, mutation, outcomes):
            about = f"{conversation.question.kind}, {conversation.name}, {mutation}: {outcomes}"
            self.findings.append(Finding(problem, (number,), about, playing.sent))

    def _suspect(self) -> None:
        self.suspects += [self._of_all(fault) for fault in self.prober.faults]
        self.prober.faults.clear()

    def _of_all(self, problem: str) -> Finding:
        return Finding(problem, tuple(self._recent), self.prober.output())


def judge(conversation: Conversation, mutation: Mutation, outcomes: list[list[str]]) -> str:
    """Return what is wrong with these outcomes, if anything is."""
    proper = OF_HTTP if conversation.question.kind == "http" else REASONS
    for reason, cause, _ in outcomes:
        if reason == "pass":
            continue
        if reason not in proper and (reason != "error" or cause not in SERVER_ERRORS):
            return f"reason {reason} for {cause}"
    if mutation.is_fatal and outcomes[0][0] == "pass":
        return "passes without an answer"
    return ""
