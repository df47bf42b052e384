"""What the tests of the core share: checks, results told by letters, a monitor and its words."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.health import Check, Instant, Monitor, Observation, Probe, Reason, Result, Transition
from tests.fakes import EPOCH, Hands, answers


START = Instant(100.0, EPOCH)
LETTERS = {"P": None, "F": Reason.REFUSED, "T": Reason.TIMEOUT, "S": Reason.STUCK}


def check(probe: Probe, name: str = "it", **terms: Any) -> Check:
    """A check on these terms: by default an attempt each second, with a second to answer."""
    return Check(name=name, probe=probe, **terms)


def after(
    story: str, thresholds: tuple[int, int] = (1, 1), *, step: float = 0.0, required: bool = True
) -> Observation:
    """What is known after *story*: letters are results, a second apart, and `-` is a long silence.

    The wall clock is set back and forth by *step* seconds meanwhile.
    """
    failures, successes = thresholds
    on = check(answers, failure_threshold=failures, success_threshold=successes, required=required)
    known, now = Observation(check=on, since=START), START
    for letter in story:
        if letter == "-":
            now += on.lifetime
            known = known.at(now)
        else:
            known = known.after(Result(at=now, latency=0.25, reason=LETTERS[letter]))
        now, step = Instant(now.steady + 1, now.wall + 1 + step), -step
    return known


def watch(
    *checks: Check,
    hands: Hands | None = None,
    jitter: float = 0.0,
    on_result: Callable[[str, Result], None] = lambda _name, _result: None,
    on_transition: Callable[[Transition, str], None] = lambda _transition, _cause: None,
) -> Monitor:
    """A monitor on the clock of the running loop."""
    hands = hands or Hands(asyncio.get_running_loop())
    return Monitor(
        checks,
        clock=hands.clock,
        jitter=lambda: jitter,
        on_result=on_result,
        on_transition=on_transition,
    )


def told(monitor: Monitor) -> str:
    """What the monitor answers: `pass`, `fail stuck`, or with two checks `pass, fail stuck`."""
    return ", ".join(
        f"{known.status.word} {known.reason or ''}".strip() for known in monitor.report().checks
    )


async def at(moment: float) -> None:
    """Let time pass until *moment*, in seconds since the loop was made."""
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
