"""Helpers for the tests of app/health: checks, observations, and monitors in simulated time."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.health import (
    Check,
    Clock,
    Instant,
    Monitor,
    Observation,
    Probe,
    Reason,
    Result,
    Transition,
)
from tests.support.fakes import EPOCH, SimulatedClock, answers


START = Instant(100.0, EPOCH)
RESULTS = {"P": None, "F": Reason.REFUSED, "T": Reason.TIMEOUT, "S": Reason.STUCK}


def check(probe: Probe, name: str = "it", **fields: Any) -> Check:
    """Return a check with these fields; interval and timeout are a second by default."""
    return Check(name=name, probe=probe, **fields)


def after(
    results: str, thresholds: tuple[int, int] = (1, 1), *, step: float = 0.0, required: bool = True
) -> Observation:
    """Return the observation after *results*.

    Args:
        results: a letter of RESULTS for each result, a second apart. `-` is a gap in which the last
            result becomes stale.
        thresholds: of failures and of successes.
        step: seconds by which the wall clock is set forward and back after each result.
    """
    failures, successes = thresholds
    subject = check(
        answers, failure_threshold=failures, success_threshold=successes, required=required
    )
    known, now = Observation(check=subject, since=START), START
    for letter in results:
        if letter == "-":
            now += subject.lifetime
            known = known.at(now)
        else:
            known = known.after(Result(at=now, latency=0.25, reason=RESULTS[letter]))
        now, step = Instant(now.steady + 1, now.wall + 1 + step), -step
    return known


def make_monitor(
    *checks: Check,
    clock: Clock | None = None,
    jitter: float = 0.0,
    on_result: Callable[[str, Result], None] | None = None,
    on_transition: Callable[[Transition, str], None] | None = None,
) -> Monitor:
    """Return a monitor on the clock of the running loop, with its first subscriber."""
    clock = clock or SimulatedClock(asyncio.get_running_loop())
    monitor = Monitor(checks, clock=clock, jitter=lambda: jitter)
    monitor.subscribe(on_result=on_result, on_transition=on_transition)
    return monitor


def summary(monitor: Monitor) -> str:
    """Return status and reason of each check, such as `pass, fail stuck`."""
    return ", ".join(
        f"{known.status.word} {known.reason or ''}".strip() for known in monitor.report().checks
    )


async def at(moment: float) -> None:
    """Sleep until *moment*, in seconds since the loop was created."""
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
