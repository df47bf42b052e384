"""One attempt at each check: how far it comes, and how long each step takes."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from app.checks import open_checks
from app.health import Check, Clock, Monitor, Observation, Probe, Reason
from app.health.advice import Advice
from app.probes.steps import LISTENER, Step
from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What one attempt came to.

    Attributes:
        seconds: how long each step took that was begun.
        failed: the step that failed, and why; none where the dependency answered.
        advice: what to try; an attempt that passed may have some too.

    """

    name: str
    seconds: Mapping[Step, float]
    failed: tuple[Step, Reason] | None
    advice: Advice | None


class Recorder:
    """A probe that notes when each step of another one's attempt begins."""

    def __init__(self, probe: Probe, clock: Clock) -> None:
        self._probe = probe
        self._clock = clock
        self._marks = list[tuple[Step, float]]()
        self._begun = clock.steady()

    async def __call__(self) -> None:
        """Put the other one's question."""
        self._begun = self._clock.steady()
        LISTENER.set(lambda step: self._marks.append((step, self._clock.steady())))
        await self._probe()

    def examination(self, known: Observation) -> Examination:
        """Tell how far the attempt came, of which this is known."""
        seconds = dict[Step, float]()
        ends = [*(at for _, at in self._marks[1:]), self._begun + known.latency]
        for (step, at), end in zip(self._marks, ends, strict=False):
            seconds[step] = seconds.get(step, 0.0) + end - at
        # Before the first step stands the reading of a secret.
        last = self._marks[-1][0] if self._marks else Step.AUTHENTICATION
        failed = (last, known.reason) if known.reason else None
        return Examination(
            name=known.check.name, seconds=seconds, failed=failed, advice=known.advice
        )


async def examine(settings: Settings) -> list[Examination]:
    """Ask every dependency that is configured once, side by side, each within its timeout."""
    async with AsyncExitStack() as stack:
        return await ask_once(await open_checks(settings, settings.read_secret, stack))


async def ask_once(checks: list[Check]) -> list[Examination]:
    """Have the monitor, which keeps every deadline, put each question once."""
    clock, heard = Clock(), asyncio.Event()
    recorders = [Recorder(check.probe, clock) for check in checks]
    once = [
        replace(check, probe=recorder, interval=math.inf)
        for check, recorder in zip(checks, recorders, strict=True)
    ]
    async with Monitor(once, clock=clock, listener=lambda *_: heard.set()) as monitor:
        while not (report := monitor.report()).complete:
            await heard.wait()
            heard.clear()
    return [
        recorder.examination(known)
        for recorder, known in zip(recorders, report.checks, strict=True)
    ]
