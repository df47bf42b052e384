"""Attacks the probes of one kind, round after round, and finds the attempt behind each fault."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from tests.fuzz.conversation import Conversation
from tests.fuzz.dependency import Player
from tests.fuzz.mutation import Mutation
from tests.fuzz.odd import ODD
from tests.fuzz.prober import DiedError, ProbeProcess


# Attempts at a time, and attempts between two checks for leaks.
LANES, ROUND = 16, 500

# Attempts of an order, and the timeout of each in seconds.
ATTEMPTS, TIMEOUT = 2, 0.25

# How many faults of a round are traced to their attempts. Each attempt takes a new child.
SUSPECTS = 3

# Bytes by which the child may grow after its first round.
GROWTH = 10_000_000

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


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, and how to reproduce it.

    Attributes:
        numbers: the number of the attempt, or those of all candidates; none for a whole round.
        sent: the pieces that the dependency sent; an empty one starts a connection.
    """

    problem: str
    numbers: list[int]
    about: str = ""
    sent: list[bytes] = field(default_factory=list)


class Fuzzer:
    """Attacks the probes of one checkout. Entering it starts a child.

    Args:
        seed: determines each attempt, together with its number.
        app: the folder of the checkout.
        root: the CA certificate that the probes trust.

    Attributes:
        findings: the faults that were found.
        unconfirmed: faults reported while many attempts ran, and by none of them alone.
        reasons: the number of attempts with each reason.
    """

    def __init__(
        self, conversations: Sequence[Conversation], seed: int, app: Path, root: Path
    ) -> None:
        self._conversations, self._seed = conversations, seed
        self._start = partial(ProbeProcess, app, ("asyncio", "uvloop")[seed % 2], root)
        recorded = {m for one in conversations for turn in one.turns for m in turn.messages}
        self._others = (*sorted(recorded), *ODD[conversations[0].target.kind])
        self._memory = self.attempts = self.growth = 0
        self.findings: list[Finding] = []
        self.unconfirmed: list[Finding] = []
        self.reasons = Counter[str]()

    async def __aenter__(self) -> Self:
        self._child = await self._start().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._child.__aexit__()

    async def round(self) -> None:
        """Run the next attempts, and check what they leaked."""
        numbers = range(self.attempts, self.attempts + ROUND)
        self.attempts += ROUND
        found, memory = await self._attack(self._child, numbers, LANES)
        if memory:
            self._memory = self._memory or memory
            self.growth = memory - self._memory
            if self.growth > GROWTH:
                found.append(Finding(f"grew by {self.growth / 1e6:.0f} MB", []))
        else:  # the child has ended
            await self._child.__aexit__()
            self._child, self._memory = await self._start().__aenter__(), 0
        suspects = [one for one in found if len(one.numbers) > 1]
        self.findings += [one for one in found if one not in suspects]
        for suspect in suspects[:SUSPECTS]:
            await self._confirm(suspect)

    async def alone(self, number: int) -> list[Finding]:
        """Run one attempt in a new child."""
        async with self._start() as child:
            found, _ = await self._attack(child, [number], 1)
        conversation, mutation = self.plan(number)
        what = f"{conversation.name}, {mutation}"
        return [replace(one, about=f"{what}\n{one.about}") for one in found]

    def plan(self, number: int) -> tuple[Conversation, Mutation]:
        """Return the conversation and the mutation of an attempt."""
        rng = random.Random(f"{self._seed} {number}")
        conversation = rng.choice(self._conversations)
        return conversation, Mutation(f"{self._seed} {number} plan", conversation, self._others)

    async def _attack(
        self, child: ProbeProcess, numbers: Sequence[int], lanes: int
    ) -> tuple[list[Finding], int]:
        """Run attempts, and return what is wrong and the memory in use; 0 if the child has ended.

        Args:
            lanes: attempts at a time.
        """
        found: list[Finding] = []
        # The candidates for a fault, which is reported a moment after the attempt that causes it.
        recent = deque[int](maxlen=3 * lanes)
        waiting = iter(numbers)
        memory = 0

        def collect_faults() -> None:
            found.extend(Finding(fault, list(recent), child.output()) for fault in child.faults)
            child.faults.clear()

        async def run_lane(players: AsyncExitStack) -> None:
            for number in waiting:
                recent.append(number)
                found.extend(await self._attempt(child, number, players))
                collect_faults()

        try:
            # Until the leaks are counted: at its end a player closes the connections to it.
            async with AsyncExitStack() as players:
                async with asyncio.TaskGroup() as group:
                    for _ in range(lanes):
                        group.create_task(run_lane(players))
                rest = await child.run({})
            memory = rest["memory"]
            if rest["left"]:
                found.append(Finding(f"left behind: {rest['left']}", []))
        except* DiedError:
            pass
        collect_faults()
        return found, memory

    async def _attempt(
        self, child: ProbeProcess, number: int, players: AsyncExitStack
    ) -> list[Finding]:
        conversation, mutation = self.plan(number)
        player = Player(conversation, mutation)
        port = await players.enter_async_context(player.serve())
        order = conversation.target.order(port, ATTEMPTS, TIMEOUT)
        outcomes = (await child.run(order))["outcomes"]
        self.reasons.update(reason for reason, _, _ in outcomes)
        about = f"{conversation.target.kind}, {conversation.name}, {mutation}: {outcomes}"
        problem = judge(conversation, mutation, outcomes)
        return [Finding(problem, [number], about, player.sent)] if problem else []

    async def _confirm(self, suspect: Finding) -> None:
        for number in suspect.numbers:
            if found := await self.alone(number):
                self.findings.append(found[0])
                return
        sure = suspect.problem.startswith("the child")
        (self.findings if sure else self.unconfirmed).append(suspect)


def judge(conversation: Conversation, mutation: Mutation, outcomes: list[list[str]]) -> str:
    """Return what is wrong with these outcomes; empty if nothing is."""
    proper = HTTP_REASONS if conversation.target.kind == "http" else REASONS
    for reason, cause, _ in outcomes:
        is_unlisted = reason == "error" and cause in SERVER_ERRORS
        if reason not in {"pass", *proper} and not is_unlisted:
            return f"reason {reason} for {cause}"
    is_wrong = mutation.is_fatal and outcomes[0][0] == "pass"
    return "passes without an answer" if is_wrong else ""
