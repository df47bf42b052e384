"""What the tests of the monitor share: a check, a monitor in simulated time, and its words."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.health import Check, Monitor, Probe, Transition
from tests.fakes import Hands


def check(probe: Probe, name: str = "it", **terms: Any) -> Check:
    """A check on these terms: by default an attempt each second, with a second to answer."""
    return Check(name=name, probe=probe, **terms)


def watch(
    *checks: Check,
    hands: Hands | None = None,
    jitter: float = 0.0,
    listener: Callable[[Transition, str], None] = lambda _transition, _cause: None,
) -> Monitor:
    """A monitor on the clock of the running loop."""
    hands = hands or Hands(asyncio.get_running_loop())
    return Monitor(checks, clock=hands.clock, jitter=lambda: jitter, listener=listener)


def told(monitor: Monitor) -> str:
    """What the monitor answers: `pass`, `fail stuck`, or with two checks `pass, fail stuck`."""
    return ", ".join(
        f"{known.status.word} {known.reason or ''}".strip() for known in monitor.report().checks
    )


async def at(moment: float) -> None:
    """Let time pass until *moment*, in seconds since the loop was made."""
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
