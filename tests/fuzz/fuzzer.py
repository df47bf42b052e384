"""Attacks the probes of one kind, round after round, and finds the attempt behind each fault."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

from tests.fuzz.conversation import Conversation
from tests.fuzz.mutation import Mutation
from tests.fuzz.odd import ODD
from tests.fuzz.prober import DiedError, ProbeProcess
from tests.fuzz.session import Finding, Session


# Attempts at a time, and attempts between two checks for leaks.
LANES, ROUND = 16, 500

# How many faults of a round are traced to their attempts. Each attempt takes a new child.
SUSPECTS = 3

# Bytes by which the child may grow after its first round.
GROWTH = 10_000_000


class Fuzzer:
    """Attacks the probes of one checkout. Entering it starts a child.

    Args:
        seed: determines each attempt, together with its number.
        start: returns a child that runs on this event loop.

    Attributes:
        findings: the faults that were found.
        unconfirmed: faults reported while many attempts ran, and by none of them alone.
    """

    def __init__(
        self, conversations: Sequence[Conversation], seed: int, start: Callable[[str], ProbeProcess]
    ) -> None:
        self._conversations, self._seed, self._start = conversations, seed, start
        self._loop = ("asyncio", "uvloop")[seed % 2]
        recorded = {m for one in conversations for turn in one.turns for m in turn.messages}
        self._others = (*sorted(recorded), *ODD[conversations[0].target.kind])
        self._memory = 0
        self.attempts = 0
        self.growth = 0
        self.findings: list[Finding] = []
        self.unconfirmed: list[Finding] = []
        self.reasons = Counter[str]()

    async def __aenter__(self) -> Self:
        self._session = await self._child(LANES).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.__aexit__()

    async def round(self) -> None:
        """Run the next attempts, and check what they leaked."""
        session = self._session
        await session.attack(range(self.attempts, self.attempts + ROUND))
        self.attempts += ROUND
        self.reasons += session.reasons
        session.reasons.clear()
        if not session.died:
            await self._check_idle()
        if session.died:
            await session.__aexit__()
            self._session, self._memory = await self._child(LANES).__aenter__(), 0
        self.findings += session.findings
        for suspect in session.suspects[:SUSPECTS]:
            await self._confirm(suspect)
        session.findings.clear()
        session.suspects.clear()

    async def alone(self, number: int) -> list[Finding]:
        """Run one attempt in a new child."""
        async with self._child(1) as session:
            await session.attack([number])
            return session.findings + session.suspects

    def plan(self, number: int) -> tuple[Conversation, Mutation]:
        """Return the conversation and the mutation of an attempt."""
        rng = random.Random(f"{self._seed} {number}")
        conversation = rng.choice(self._conversations)
        return conversation, Mutation(f"{self._seed} {number} plan", conversation, self._others)

    def _child(self, lanes: int) -> Session:
        return Session(self.plan, self._start(self._loop), lanes)

    async def _check_idle(self) -> None:
        numbers = (self.attempts - ROUND, self.attempts - 1)
        try:
            rest = await self._session.probe_process.wait_idle()
        except DiedError as error:
            self._session.died = str(error)
            self.findings.append(Finding(f"the child {error} at rest", numbers))
            return
        if rest["left"]:
            self.findings.append(Finding(f"left behind: {rest['left']}", numbers))
        self._memory = self._memory or rest["memory"]
        self.growth = rest["memory"] - self._memory
        if self.growth > GROWTH:
            self.findings.append(Finding(f"grew by {self.growth / 1e6:.0f} MB", numbers))

    async def _confirm(self, suspect: Finding) -> None:
        for number in suspect.numbers:
            for found in await self.alone(number):
                conversation, mutation = self.plan(number)
                about = f"{conversation.name}, {mutation}\n{found.about}"
                self.findings.append(replace(found, about=about))
                return
        sure = suspect.problem.startswith("the child")
        (self.findings if sure else self.unconfirmed).append(suspect)
